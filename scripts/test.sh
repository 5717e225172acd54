#!/usr/bin/env bash
# Installs what is needed, builds mtmd, and runs all tests; with `asan` or `tsan` as argument, in that build.
# The sanitizer run of everything is part of the default: scripts/test.sh = release + asan.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh

run() {
  local preset=$1
  shift
  echo "== $preset: configure and build" >&2
  cmake --preset "$preset" >&2
  cmake --build --preset "$preset" >&2
  echo "== $preset: test" >&2
  ctest --preset "$preset" -j "$(nproc)" --timeout 900 "$@"
}

case "${1:-all}" in
  release | asan | tsan) run "$1" ;;
  all)
    run asan
    run release
    ;;
  *)
    echo "usage: scripts/test.sh [all|release|asan|tsan]" >&2
    exit 2
    ;;
esac
