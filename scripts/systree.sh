#!/bin/sh
# Makes build/systree, a small Debian 12 with systemd and rpm, once: the system test boots it, with
# everything that it writes kept in memory, and installs the packages there. Needs root.
set -eu

cd "$(git rev-parse --show-toplevel)"
tree=build/systree
# What the packages depend on and recommend, systemd and its tools, and rpm: in the test there is no mirror to ask.
include=systemd,systemd-sysv,dbus,iproute2,procps,tcpdump,netbase,rpm

(cd packaging && go mod download) # nfpm, for the same reason
[ ! -e "$tree/etc/debian_version" ] || exit 0
scripts/deps.sh debootstrap systemd-container
mirror=$(awk '$1 == "URIs:" { print $2; exit } $1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; exit } }' \
	/etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true)
[ -n "$mirror" ] || { echo "systree: no Debian mirror in this machine's apt sources" >&2; exit 1; }
echo "systree: making a small Debian 12 with systemd" >&2
rm -rf "$tree.new"
mkdir -p build
debootstrap --variant=minbase --include="$include" bookworm "$tree.new" "$mirror" >build/systree.log 2>&1 ||
	{ tail -n 20 build/systree.log >&2; exit 1; }
rm -f "$tree.new"/var/cache/apt/archives/*.deb
mv "$tree.new" "$tree"
