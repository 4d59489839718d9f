#!/bin/sh
# Removing keeps the config and everything that was captured and learned; purging does not.
set -e

if command -v deb-systemd-helper >/dev/null; then
	for unit in pacgan-appliance.service pacgan-appliance.socket pacgan-appliance-hub.service; do
		case "$1" in
		remove)
			deb-systemd-helper mask $unit >/dev/null || true
			;;
		purge)
			deb-systemd-helper purge $unit >/dev/null || true
			deb-systemd-helper unmask $unit >/dev/null || true
			;;
		esac
	done
fi
if [ "$1" = purge ]; then
	rm -rf /var/lib/pacgan-appliance /var/lib/pacgan-appliance-hub /var/lib/private/pacgan-appliance-hub
fi
if [ -d /run/systemd/system ]; then
	systemctl --system daemon-reload >/dev/null || true
fi
