#!/bin/sh
# lintian and rpmlint on all packages in build/package: an error or a warning that packaging/ does
# not override, with a reason, fails.
set -eu

cd "$(git rev-parse --show-toplevel)"
lintian --fail-on error,warning --suppress-tags-from-file /dev/null --allow-root --quiet build/package/*.deb

# rpmlint unpacks with cpio, and nfpm's archives have absolute paths: without this the files would
# be installed on this machine.
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
printf '#!/bin/sh\nexec /usr/bin/cpio --no-absolute-filenames "$@"\n' >"$tools/cpio"
chmod 755 "$tools/cpio"
PATH="$tools:$PATH" rpmlint --strict --config packaging/rpmlint.toml build/package/*.rpm
