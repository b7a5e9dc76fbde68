// The four C functions web-llm's JavaScript calls besides TVM's own C API. TVM's file of this purpose
// (web/emcc/tvmjs_support.cc) has them next to a remote-procedure session that we do not link.
#define TVM_FFI_ALWAYS_LOG_BEFORE_THROW 1

#include <tvm/ffi/c_api.h>
#include <tvm/ffi/error.h>
#include <tvm/ffi/function.h>
#include <tvm/runtime/base.h>

#include <cstdint>
#include <string>

extern "C" {

// Supplied by JavaScript as imports of the WebAssembly module.
extern int TVMFFIWasmSafeCall(void* self, const TVMFFIAny* args, int32_t num_args,
                              TVMFFIAny* result);
extern void TVMFFIWasmFunctionDeleter(void* self);

// `size` is in bytes; the space is aligned to 8.
TVM_DLL void* TVMWasmAllocSpace(int size) { return new int64_t[(size + 7) / 8]; }

TVM_DLL void TVMWasmFreeSpace(void* space) { delete[] static_cast<int64_t*>(space); }

TVM_DLL int TVMFFIWasmFunctionCreate(void* self, TVMFFIObjectHandle* out) {
  return TVMFFIFunctionCreate(self, TVMFFIWasmSafeCall, TVMFFIWasmFunctionDeleter, out);
}

// Valid until the next call.
TVM_DLL const char* TVMFFIWasmGetLastError() {
  static std::string message;
  message = ::tvm::ffi::details::MoveFromSafeCallRaised().what();
  return message.c_str();
}

}  // extern "C"
