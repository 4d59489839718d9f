#!/bin/sh
set -e

if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	deb-systemd-invoke stop pacgan-appliance.socket pacgan-appliance.service pacgan-appliance-hub.service >/dev/null || true
fi
