#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes sure that the Debian packages named on the command line are installed:
#   packages.sh PURPOSE PACKAGE...
# Says what is missing, installs it where we may, else names the one command that does.
set -eu
purpose=$1
shift
missing=
for package in "$@"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "mailrace: to $purpose these Debian packages are missing:$missing"
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root=sudo
else
    echo "mailrace: no right to install them here; please run this as root, then try again:"
    echo "    apt-get update && apt-get install -y --no-install-recommends$missing"
    exit 77
fi
echo "mailrace: installing them"
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
