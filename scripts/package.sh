#!/bin/sh
# Usage: scripts/package.sh ARCH...
# Makes build/package/*.deb and *.rpm for architectures as Go names them (amd64, arm64). All that
# goes into them is of this commit, its date included: two builds are equal, byte for byte.
# PACKAGE_VERSION is the version; by default one that grows with the commits.
set -eu

cd "$(git rev-parse --show-toplevel)"
export CGO_ENABLED=0
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
export PACKAGE_VERSION="${PACKAGE_VERSION:-0.1.0~git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S)}"
stage=build/stage
target=$PWD/${PACKAGE_DIR:-build/package}

rm -rf "$stage"
mkdir -p "$stage" "$target"
go run ./cmd/docs -out "$stage" -version "$PACKAGE_VERSION"
cat >"$stage/changelog.yaml" <<END
- semver: "$PACKAGE_VERSION-1"
  date: $(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
  packager: pacgan-appliance maintainers <maintainers@pacgan-appliance.invalid>
  deb:
    urgency: medium
    distributions: [stable]
  changes:
    - note: Built from commit $(git rev-parse --short HEAD); its CHANGELOG.md says what is new.
END
for arch in "$@"; do
	make --no-print-directory build GOARCH="$arch" BINARY="$stage/pacgan-appliance" VERSION="$PACKAGE_VERSION"
	# What is in the binary, by its own account: all that the build took, and no time or place.
	(cd packaging && GOFLAGS=-trimpath go tool cyclonedx-gomod bin -json -noserial -notimestamp -std -version "$PACKAGE_VERSION" \
		-output "../$stage/sbom.cdx.json" "../$stage/pacgan-appliance")
	# Only rpm has a field for the licence, and nfpm no variable for it.
	(cd packaging && ARCH=$arch go tool nfpm package --packager deb --target "$target/" &&
		{ cat nfpm.yaml && echo 'license: Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)'; } |
		ARCH=$arch go tool nfpm package --config - --packager rpm --target "$target/")
done
