#!/usr/bin/env bash
# Joins the runtime's objects and the model's objects into the library web-llm loads.
#
#   link.sh <folder of runtime objects> <folder of model objects> <output.wasm>
set -euo pipefail

runtime=$1
model=$2
out=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The options are those of TVM's own linker script (tvm/support/emcc.py). Undefined symbols are
# allowed there because JavaScript supplies two of them.
emcc -Os --no-entry \
  -s WASM_BIGINT=1 -s ERROR_ON_UNDEFINED_SYMBOLS=0 -s WARN_ON_UNDEFINED_SYMBOLS=1 \
  -s STANDALONE_WASM=1 -s ALLOW_MEMORY_GROWTH=1 -s TOTAL_MEMORY=160MB \
  -o "$work/library.wasm" \
  "$runtime/reduced_runtime.o" "$runtime/browser_support.o" "$runtime/webgpu_runtime.o" "$model"/*.o \
  2>&1 | tee "$work/log"

# Those two, and nothing else: a third one would be a hole that traps at its first call.
unexpected=$(grep -oE 'undefined symbol: [A-Za-z0-9_]+' "$work/log" |
  grep -vE ': (TVMFFIWasmSafeCall|TVMFFIWasmFunctionDeleter)$' || true)
if [ -n "$unexpected" ]; then
  echo "link.sh: the library lacks these functions: $unexpected" >&2
  exit 1
fi
mv "$work/library.wasm" "$out"
