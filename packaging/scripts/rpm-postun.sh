# $1 is 1 or more where another version has taken its place: it starts where the old one ran.
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
	if [ "$1" -ge 1 ]; then
		systemctl try-restart pacgan-appliance.service pacgan-appliance-hub.service || :
	fi
fi
