#!/usr/bin/env bash
# Installs what is needed, builds mtmd, reads a picture of a receipt and hears a voice message with the built-in model.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh
cmake --preset release -DMTMD_TESTS=OFF -B build/demo >&2
cmake --build build/demo --target mtmd_cli >&2
picture=${1:-tests/data/receipt.png}
recording=${2:-tests/data/message.opus}
echo "\$ mtmd ocr $picture" >&2
build/demo/mtmd ocr "$picture"
echo "\$ mtmd transcribe $recording" >&2
build/demo/mtmd transcribe "$recording"
