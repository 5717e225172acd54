#!/usr/bin/env bash
# Ten hours of sound through decoder, voice activity and cutter in little memory: scripts/long_recording.sh [BUILD] [HOURS]
# (build/release, 10). The address space is limited, so that growth would be a failure and not a number to look at.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release} hours=${2:-10}
tool=$build/tests/mtmd/hear/cut_recording
[ -x "$tool" ] || { echo "long_recording.sh: build $tool first (ninja -C $build cut_recording)" >&2; exit 1; }
file=$(mktemp --suffix .wav)
trap 'rm -f "$file"' EXIT
"$tool" make "$hours" > "$file"
limit_kib=400000 # of address space, shared libraries included
echo "file of $(du -h "$file" | cut -f1), ulimit -v $limit_kib:"
(ulimit -v $limit_kib; "$tool" "$file")
echo "the same from a pipe:"
"$tool" make "$hours" | (ulimit -v $limit_kib; "$tool" -)
echo "a tenth of it, for comparison:"
"$tool" make "$(awk "BEGIN { print $hours / 10 }")" | (ulimit -v $limit_kib; "$tool" -)
