#!/bin/sh
# Installs the Debian packages named on the command line that are missing, and says nothing
# when none is. A server among them (nginx, unbound, prometheus, suricata, ...) is neither started nor left
# enabled: the tests start their own copies in their own network namespaces.
#
# What this Debian release lacks comes from its backports, and only that: they are added as a source of
# their own where apt has none yet.
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
log=$(mktemp)
trap 'rm -f "$log"' EXIT INT TERM
if [ ! -e "$policy" ]; then
	trap 'rm -f "$log" "$policy"' EXIT INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive

quietly() {
	"$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
}

# candidate PACKAGE: the version that apt would install; nothing where it knows none.
candidate() {
	apt-cache policy "$1" | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
}

# add_backports: the release's backports, from the mirror that the release itself comes from.
add_backports() {
	mirror=$(apt-cache policy | awk -v codename="$VERSION_CODENAME" '
		$1 ~ /^[0-9]+$/ && $2 ~ /^http/ { url = $2 }
		/^ *release / && index("," $2 ",", ",n=" codename ",") && !found { print url; found = 1 }')
	[ -n "$mirror" ] || { echo "deps: no mirror of $VERSION_CODENAME in apt's sources: add one, or $VERSION_CODENAME-backports" >&2; exit 1; }
	cat >/etc/apt/sources.list.d/pacgan-backports.sources <<-END
		Types: deb
		URIs: $mirror
		Suites: $VERSION_CODENAME-backports
		Components: main
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	END
	quietly apt-get update -qq
}

quietly apt-get update -qq
ordinary=
lacking=
for package in $missing; do
	case $(candidate "$package") in
	'' | *~bpo*) lacking="$lacking $package" ;;
	*) ordinary="$ordinary $package" ;;
	esac
done
# shellcheck disable=SC2086 # the lists are meant to be split
[ -z "$ordinary" ] || quietly apt-get install -y -qq --no-install-recommends $ordinary
if [ -n "$lacking" ]; then
	. /etc/os-release
	[ "$ID" = debian ] || { echo "deps: apt knows no package$lacking" >&2; exit 1; }
	apt-cache policy | grep -q "n=$VERSION_CODENAME-backports" || add_backports
	# shellcheck disable=SC2086
	quietly apt-get install -y -qq --no-install-recommends -t "$VERSION_CODENAME-backports" $lacking
fi

# Outside of a maintainer script deb-systemd-helper does nothing, and says so, unless it is told of one.
for unit in nginx unbound prometheus suricata chrony snmpd mosquitto kamailio; do
	case "$missing " in
	*" $unit"*) DPKG_MAINTSCRIPT_PACKAGE=$unit deb-systemd-helper disable "$unit.service" >/dev/null 2>&1 || true ;;
	esac
done
