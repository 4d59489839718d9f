#!/bin/sh
# Unpacks the kernel of Debian 12 (6.1) into the directory that is named, and says nothing when it
# is there already. Nothing is installed: internal/oldkernel boots it in an emulator.
set -eu

dir=$1
[ -z "$(find "$dir/boot" -name 'vmlinuz-6.1.*' 2>/dev/null)" ] || exit 0

# linux-image-cloud-amd64 is an empty package that depends on the newest kernel.
package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-6\.1\.[^ ]*\)$/\1/p' | head -n 1)
if [ -z "$package" ]; then
	echo "old-kernel: apt knows no kernel 6.1: run apt-get update, on Debian 12" >&2
	exit 1
fi
echo "old-kernel: fetching $package" >&2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM
(cd "$scratch" && apt-get download -qq "$package" 2>"$scratch/log") || {
	cat "$scratch/log" >&2
	exit 1
}
rm -rf "$dir"
mkdir -p "$(dirname "$dir")"
dpkg-deb -x "$scratch"/*.deb "$scratch/tree"
mv "$scratch/tree" "$dir"
