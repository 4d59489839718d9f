#!/bin/sh
# Runs the README's two commands in a bare Debian 12: debootstrap's minbase with git, make,
# gcc, ca-certificates and this machine's Go, and nothing else. What passes here depends on
# nothing that a machine has by luck. Needs root; the tree (build/_fresh) is kept and reused
# with FRESH_KEEP=1, made anew otherwise.
set -eu

top=$(git rev-parse --show-toplevel)
tree=$top/build/_fresh
commands=${FRESH_COMMANDS:-"make lab && make test"}

"$top/scripts/deps.sh" debootstrap systemd-container

mirror=$(awk '$1 == "URIs:" { print $2; exit } $1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; exit } }' \
	/etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true)
[ -n "$mirror" ] || { echo "fresh: no Debian mirror in this machine's apt sources" >&2; exit 1; }

if [ "${FRESH_KEEP:-}" != 1 ] || [ ! -e "$tree/etc/debian_version" ]; then
	rm -rf "$tree"
	mkdir -p "$top/build"
	echo "fresh: making a bare Debian 12" >&2
	debootstrap --variant=minbase --include=git,make,gcc,ca-certificates bookworm "$tree" "$mirror" >"$top/build/fresh.log" 2>&1 ||
		{ tail -n 20 "$top/build/fresh.log" >&2; exit 1; }
	# The tree reaches its mirrors as this machine does.
	rm -rf "$tree/etc/apt/sources.list" "$tree/etc/apt/sources.list.d"
	cp -a /etc/apt/sources.list.d "$tree/etc/apt/"
	[ ! -e /etc/apt/sources.list ] || cp -a /etc/apt/sources.list "$tree/etc/apt/"
	cp -L /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
	mkdir -p "$tree/usr/local"
	cp -a "$(go env GOROOT)" "$tree/usr/local/go"
fi
cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
rm -rf "$tree/root/pacgan-appliance"
git clone -q "$top" "$tree/root/pacgan-appliance"

exec systemd-nspawn -q -D "$tree" --register=no --keep-unit --console=pipe --resolv-conf=off \
	--capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN,CAP_NET_RAW --system-call-filter="bpf perf_event_open" \
	--setenv=PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	--setenv=GOPROXY="$(go env GOPROXY)" --setenv=GOSUMDB="$(go env GOSUMDB)" --setenv=HOME=/root \
	/bin/sh -c "cd /root/pacgan-appliance && $commands && test -z \"\$(git status --porcelain)\""
