#!/bin/sh
# Installs the Debian packages named on the command line that are missing, and says nothing
# when none is. A server among them (nginx, unbound, prometheus) is neither started nor left enabled:
# the tests start their own copies in their own network namespaces.
set -eu

missing=
for package in "$@"; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "deps: root is needed to install$missing: run this as root, or apt-get install them" >&2
	exit 1
fi
echo "deps: installing$missing" >&2

# While this file is there, invoke-rc.d starts nothing.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # the list is meant to be split
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
	cat "$log" >&2
	rm -f "$log"
	exit 1
fi
rm -f "$log"
for unit in nginx unbound prometheus; do
	case "$missing " in
	*" $unit"*) deb-systemd-helper disable "$unit.service" >/dev/null 2>&1 || true ;;
	esac
done
