#!/bin/sh
# Usage: scripts/sign.sh KEY [DIR]
# Writes the checksums of DIR's packages (build/package) into SHA256SUMS beside them, and their signature by the gpg key
# KEY into SHA256SUMS.asc. Whoever has the public key in their keyring checks both where the packages are:
#   gpg --verify SHA256SUMS.asc SHA256SUMS && sha256sum --check --ignore-missing SHA256SUMS
set -eu

key=${1:-} dir=${2:-build/package}
if [ -z "$key" ]; then
	echo "sign: which key? make sign KEY=ID, one of gpg --list-secret-keys" >&2
	exit 2
fi
if ! ls "$dir"/*.deb "$dir"/*.rpm >/dev/null 2>&1; then
	echo "sign: $dir has no packages: make package first" >&2
	exit 1
fi
cd "$dir"
rm -f SHA256SUMS SHA256SUMS.asc # a signature of other packages must not stay where this fails
sha256sum -- *.deb *.rpm >SHA256SUMS
gpg --quiet --local-user "$key" --armor --output SHA256SUMS.asc --detach-sign SHA256SUMS
gpg --quiet --verify SHA256SUMS.asc SHA256SUMS
