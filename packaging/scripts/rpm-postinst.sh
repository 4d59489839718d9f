# Installing starts nothing: the daemon needs to be told its interfaces first.
systemd-sysusers pacgan-appliance.conf
systemd-tmpfiles --create pacgan-appliance.conf
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
