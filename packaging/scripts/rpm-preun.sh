# $1 is 0 where the package goes for good. What was captured and learned stays: rpm knows no purge.
if [ "$1" = 0 ] && [ -d /run/systemd/system ]; then
	systemctl --no-reload disable --now pacgan-appliance.socket pacgan-appliance.service pacgan-appliance-hub.service || :
fi
