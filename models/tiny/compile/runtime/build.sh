#!/usr/bin/env bash
# Compiles TVM's runtime for WebAssembly from the sources in the installed wheels, into objects that
# link.sh joins with the compiled model. It does not depend on the model, so it runs once.
#
#   build.sh <python> <output folder>    both as absolute paths
set -euo pipefail

python=$1
out=$2
here=$(cd "$(dirname "$0")" && pwd)
tvm=$("$python" -c 'import os, tvm; print(os.path.dirname(tvm.__file__))')
ffi=$("$python" -c 'import os, tvm_ffi; print(os.path.dirname(tvm_ffi.__file__))')

# TVM's sources include each other by paths of its repository, so lay the wheels out like it and put
# our headers where the wheels have gaps.
tree=$out/tree
rm -rf "$tree"
mkdir -p "$tree/3rdparty"
cp -r "$tvm/include" "$tvm/src" "$tree/"
mkdir -p "$tree/web"
cp -r "$tvm/web/emcc" "$tree/web/"
cp -r "$ffi" "$tree/3rdparty/tvm-ffi"
cp -r "$here/include" "$here/src" "$tree/"

# One translation unit includes the whole runtime. Left out of it: remote procedure calls, tests, and
# a CPU sort, none of which web-llm looks up.
grep -vE '#include "src/runtime/(rpc/|extra/contrib/sort/)|/testing/testing\.cc' \
  "$tree/web/emcc/wasm_runtime.cc" > "$tree/web/emcc/reduced_runtime.cc"

# Paths are relative because the names of lambdas in messages contain them.
cd "$tree"
compile() {
  emcc -Os -std=c++17 -DNDEBUG -Wno-everything -I. -Iinclude -I3rdparty/tvm-ffi/include \
    -c "$1" -o "$out/$(basename "${1%.cc}").o"
}
compile web/emcc/reduced_runtime.cc
compile web/emcc/webgpu_runtime.cc
compile src/browser_support.cc
