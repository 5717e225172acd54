#!/usr/bin/env bash
# Installs what building and testing mtmd needs, on Debian 12 or newer. Nothing happens when all of it is there.
set -euo pipefail

build=(g++ cmake ninja-build pkg-config ccache)
libraries=(libfmt-dev libcli11-dev nlohmann-json3-dev libpng-dev libjpeg62-turbo-dev libwebp-dev libleptonica-dev
  libutf8proc-dev libssl-dev libedit-dev libsndfile1-dev libmpg123-dev libsoxr-dev libavformat-dev
  libavcodec-dev libavutil-dev libstb-dev)
tests=(libgtest-dev libgmock-dev)

missing=()
for package in "${build[@]}" "${libraries[@]}" "${tests[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "deps.sh: run as root, or install sudo; needed: ${missing[*]}" >&2; exit 1; }
  sudo=sudo
fi
echo "deps.sh: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get -o DPkg::Lock::Timeout=600 update -q >&2
$sudo apt-get -o DPkg::Lock::Timeout=600 install -y -q --no-install-recommends "${missing[@]}" >&2
