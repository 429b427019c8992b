#!/usr/bin/env bash
# Installs the Chromium of browser tests, and fonts for the scripts they show, where that is possible:
# on Debian and its like, as root. Elsewhere the tests that need it are skipped and say so.
set -euo pipefail

packages=(chromium-headless-shell fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji)

if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    command -v chromium-headless-shell chromium chromium-browser google-chrome >/dev/null ||
        echo "No Chromium here, and no right to install it: the browser tests will be skipped."
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
        missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

export DEBIAN_FRONTEND=noninteractive
echo "Installing ${missing[*]} for the browser tests."
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null; then
    echo "Installing ${missing[*]} failed: browser tests without Chromium will be skipped."
fi
