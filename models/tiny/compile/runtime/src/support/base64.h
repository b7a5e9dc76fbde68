// Base64 over a stream (RFC 4648, padded). Only tensors inside JSON use it.
#ifndef TVM_SUPPORT_BASE64_H_
#define TVM_SUPPORT_BASE64_H_

#include <tvm/ffi/extra/base64.h>
#include <tvm/ffi/string.h>
#include <tvm/support/io.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace tvm {
namespace support {

class Base64OutStream : public Stream {
 public:
  using Stream::Read;
  using Stream::Write;

  explicit Base64OutStream(Stream* out) : out_(out) {}

  size_t Read(void*, size_t) final { return 0; }
  size_t Write(const void* data, size_t size) final {
    bytes_.append(static_cast<const char*>(data), size);
    return size;
  }
  void Finish() {
    const std::string text = ffi::Base64Encode(bytes_);
    out_->Write(static_cast<const void*>(text.data()), text.size());
    bytes_.clear();
  }

 private:
  Stream* out_;
  std::string bytes_;
};

class Base64InStream : public Stream {
 public:
  using Stream::Read;
  using Stream::Write;

  explicit Base64InStream(Stream* in) : in_(in) {}

  // Decodes the whole input; to be called once, before the first Read.
  void InitPosition() {
    std::string text;
    char block[4096];
    while (size_t size = in_->Read(static_cast<void*>(block), sizeof(block))) {
      text.append(block, size);
    }
    bytes_ = ffi::Base64Decode(text);
  }
  size_t Read(void* data, size_t size) final {
    size = std::min(size, bytes_.size() - at_);
    if (size != 0) std::memcpy(data, bytes_.data() + at_, size);
    at_ += size;
    return size;
  }
  size_t Write(const void*, size_t) final { return 0; }

 private:
  Stream* in_;
  ffi::Bytes bytes_;
  size_t at_ = 0;
};

}  // namespace support
}  // namespace tvm

#endif  // TVM_SUPPORT_BASE64_H_
