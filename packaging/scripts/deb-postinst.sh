#!/bin/sh
# Installing starts nothing: the daemon needs to be told its interfaces first. An upgrade restarts
# the daemon where it runs.
set -e

if [ "$1" = configure ]; then
	systemd-sysusers pacgan-appliance.conf
	systemd-tmpfiles --create pacgan-appliance.conf
	for unit in pacgan-appliance.service pacgan-appliance.socket pacgan-appliance-hub.service; do
		if deb-systemd-helper debian-installed $unit; then # enabled only where a person had done it
			deb-systemd-helper unmask $unit >/dev/null || true
			if deb-systemd-helper --quiet was-enabled $unit; then
				deb-systemd-helper enable $unit >/dev/null || true
			fi
		fi
		deb-systemd-helper update-state $unit >/dev/null || true
	done
	if [ -d /run/systemd/system ]; then
		systemctl --system daemon-reload >/dev/null || true
		if [ -n "$2" ]; then
			deb-systemd-invoke try-restart pacgan-appliance.service pacgan-appliance-hub.service >/dev/null || true
		fi
	fi
fi
