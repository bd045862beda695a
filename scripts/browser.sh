#!/usr/bin/env bash
# Chromium for the tests of the demo's page, from Debian, when there is no browser yet. Without root, or where it cannot
# be had, those tests are skipped and say so; everything else is tested all the same.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then
        exit 0
    fi
done
apt=(apt-get -qq -o DPkg::Lock::Timeout=300)
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "No Chromium: the tests of the demo's page will be skipped. On Debian: sudo apt-get install chromium" >&2
    exit 0
fi
echo "Installing Debian's chromium for the tests of the demo's page ..."
export DEBIAN_FRONTEND=noninteractive
if ! { "${apt[@]}" update && "${apt[@]}" install --yes --no-install-recommends chromium; } >/dev/null; then
    echo "Chromium could not be installed: the tests of the demo's page will be skipped." >&2
fi
