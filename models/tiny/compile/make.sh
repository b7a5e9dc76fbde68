#!/usr/bin/env bash
# Makes ../mlc, everything web-llm loads, from the committed weights and tokenizer.
#
#   bash make.sh [<model.gguf> [<output folder>]]
#
# PYTHON chooses the interpreter (3.11 or later). What is downloaded and built on the way stays in build/.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
gguf=${1:-$here/../tussah-tiny-f32.gguf}
out=${2:-$here/../mlc}
build=$here/build
library=tussah-tiny-q0f32-webgpu.wasm
limit=$((8 * 1000 * 1000))

fail() {
  echo "make.sh: $1" >&2
  exit 1
}
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "needs Python 3.11 or later; set PYTHON"
"$python" -c 'import venv, ensurepip' 2>/dev/null || fail "needs Python's venv: apt-get install python3-venv"
command -v emcc >/dev/null || fail "needs Emscripten 3.1.6, Debian 12's: apt-get install emscripten"
[ -f "$gguf" ] || fail "there is no $gguf"

# A step leaves a copy of the files it was made from, and is done again when they differ.
made_from() {
  cat "${@:2}" | cmp -s - "$build/$1.made-from"
}
record() {
  cat "${@:2}" > "$build/$1.made-from"
}
mkdir -p "$build"

requirements=("$here/requirements.txt")
if ! made_from venv "${requirements[@]}"; then
  rm -rf "$build/venv"
  "$python" -m venv "$build/venv"
  "$build/venv/bin/pip" install --quiet --no-deps -r "$here/requirements.txt"
  record venv "${requirements[@]}"
fi

mapfile -t sources < <(find "$here/runtime" -type f | LC_ALL=C sort)
sources+=("${requirements[@]}")
if ! made_from runtime "${sources[@]}"; then
  bash "$here/runtime/build.sh" "$build/venv/bin/python" "$build/runtime"
  record runtime "${sources[@]}"
fi

# TVM shows what is wrong in a kernel's text only with TVM_BACKTRACE.
TVM_BACKTRACE=1 PYTHONDONTWRITEBYTECODE=1 \
  "$build/venv/bin/python" "$here/build.py" "$gguf" "$here/.." "$build/mlc" "$build/objects"
bash "$here/runtime/link.sh" "$build/runtime" "$build/objects" "$build/mlc/$library"
chmod 644 "$build/mlc/$library"

size=$(cat "$build/mlc"/* | wc -c)
[ "$size" -lt "$limit" ] || fail "$size bytes are too many; the limit is $limit"
mkdir -p "$out"
rm -f "$out"/params_shard_*.bin
cp "$build/mlc"/* "$out/"
"$python" "$here/manifest.py" "$out"
ls -l "$out"
