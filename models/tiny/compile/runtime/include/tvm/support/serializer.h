// Wire format of the compiled module: numbers raw and little-endian, a 64-bit count before every
// string, vector and map. WebAssembly is little-endian, so numbers are copied as they are.
#ifndef TVM_SUPPORT_SERIALIZER_H_
#define TVM_SUPPORT_SERIALIZER_H_

#include <dlpack/dlpack.h>
#include <tvm/ffi/container/array.h>
#include <tvm/ffi/container/map.h>
#include <tvm/ffi/string.h>
#include <tvm/support/io.h>

#include <cstdint>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tvm {
namespace support {

namespace detail {

inline bool ReadCount(Stream* strm, uint64_t* count) {
  return strm->Read(static_cast<void*>(count), sizeof(*count)) == sizeof(*count);
}
inline void WriteCount(Stream* strm, uint64_t count) {
  strm->Write(static_cast<const void*>(&count), sizeof(count));
}

inline bool ReadChars(Stream* strm, std::string* chars) {
  uint64_t count;
  if (!ReadCount(strm, &count)) return false;
  chars->resize(static_cast<size_t>(count));
  return strm->Read(static_cast<void*>(chars->data()), chars->size()) == chars->size();
}
inline void WriteChars(Stream* strm, const char* data, size_t size) {
  WriteCount(strm, size);
  strm->Write(static_cast<const void*>(data), size);
}

// Maps of both kinds; `insert` is how the container takes one pair.
template <typename K, typename V, typename Insert>
bool ReadPairs(Stream* strm, Insert insert) {
  uint64_t count;
  if (!ReadCount(strm, &count)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    K key;
    V value;
    if (!strm->Read(&key) || !strm->Read(&value)) return false;
    insert(std::move(key), std::move(value));
  }
  return true;
}

}  // namespace detail

template <typename T>
struct Serializer<T, std::enable_if_t<std::is_arithmetic_v<T> || std::is_enum_v<T>>> {
  static constexpr bool enabled = true;
  static void Write(Stream* strm, const T& value) {
    strm->Write(static_cast<const void*>(&value), sizeof(T));
  }
  static bool Read(Stream* strm, T* value) {
    return strm->Read(static_cast<void*>(value), sizeof(T)) == sizeof(T);
  }
};

template <>
struct Serializer<DLDataType> {
  static constexpr bool enabled = true;
  static void Write(Stream* strm, const DLDataType& type) {
    strm->Write(type.code);
    strm->Write(type.bits);
    strm->Write(type.lanes);
  }
  static bool Read(Stream* strm, DLDataType* type) {
    return strm->Read(&type->code) && strm->Read(&type->bits) && strm->Read(&type->lanes);
  }
};

template <>
struct Serializer<DLDevice> {
  static constexpr bool enabled = true;
  static void Write(Stream* strm, const DLDevice& device) {
    strm->Write(static_cast<int32_t>(device.device_type));
    strm->Write(device.device_id);
  }
  static bool Read(Stream* strm, DLDevice* device) {
    int32_t type;
    if (!strm->Read(&type) || !strm->Read(&device->device_id)) return false;
    device->device_type = static_cast<DLDeviceType>(type);
    return true;
  }
};

template <>
struct Serializer<std::string> {
  static constexpr bool enabled = true;
  static void Write(Stream* strm, const std::string& chars) {
    detail::WriteChars(strm, chars.data(), chars.size());
  }
  static bool Read(Stream* strm, std::string* chars) { return detail::ReadChars(strm, chars); }
};

template <>
struct Serializer<ffi::String> {
  static constexpr bool enabled = true;
  static void Write(Stream* strm, const ffi::String& chars) {
    detail::WriteChars(strm, chars.data(), chars.size());
  }
  static bool Read(Stream* strm, ffi::String* chars) {
    std::string read;
    if (!detail::ReadChars(strm, &read)) return false;
    *chars = ffi::String(std::move(read));
    return true;
  }
};

template <>
struct Serializer<ffi::Bytes> {
  static constexpr bool enabled = true;
  static void Write(Stream* strm, const ffi::Bytes& bytes) {
    detail::WriteChars(strm, bytes.data(), bytes.size());
  }
  static bool Read(Stream* strm, ffi::Bytes* bytes) {
    std::string read;
    if (!detail::ReadChars(strm, &read)) return false;
    *bytes = ffi::Bytes(std::move(read));
    return true;
  }
};

template <typename T>
struct Serializer<std::vector<T>> {
  static constexpr bool enabled = true;
  static void Write(Stream* strm, const std::vector<T>& items) {
    detail::WriteCount(strm, items.size());
    strm->WriteArray(items.data(), items.size());
  }
  static bool Read(Stream* strm, std::vector<T>* items) {
    uint64_t count;
    if (!detail::ReadCount(strm, &count)) return false;
    items->resize(static_cast<size_t>(count));
    return strm->ReadArray(items->data(), items->size());
  }
};

template <typename T>
struct Serializer<ffi::Array<T>> {
  static constexpr bool enabled = true;
  static void Write(Stream* strm, const ffi::Array<T>& items) {
    detail::WriteCount(strm, items.size());
    for (T item : items) strm->Write(item);
  }
  static bool Read(Stream* strm, ffi::Array<T>* items) {
    std::vector<T> read;
    if (!strm->Read(&read)) return false;
    *items = ffi::Array<T>(read.begin(), read.end());
    return true;
  }
};

template <typename A, typename B>
struct Serializer<std::pair<A, B>> {
  static constexpr bool enabled = true;
  static void Write(Stream* strm, const std::pair<A, B>& pair) {
    strm->Write(pair.first);
    strm->Write(pair.second);
  }
  static bool Read(Stream* strm, std::pair<A, B>* pair) {
    return strm->Read(&pair->first) && strm->Read(&pair->second);
  }
};

template <typename K, typename V>
struct Serializer<std::unordered_map<K, V>> {
  static constexpr bool enabled = true;
  static void Write(Stream* strm, const std::unordered_map<K, V>& map) {
    detail::WriteCount(strm, map.size());
    for (const auto& [key, value] : map) {
      strm->Write(key);
      strm->Write(value);
    }
  }
  static bool Read(Stream* strm, std::unordered_map<K, V>* map) {
    map->clear();
    return detail::ReadPairs<K, V>(
        strm, [map](K key, V value) { map->emplace(std::move(key), std::move(value)); });
  }
};

template <typename K, typename V>
struct Serializer<ffi::Map<K, V>> {
  static constexpr bool enabled = true;
  static void Write(Stream* strm, const ffi::Map<K, V>& map) {
    detail::WriteCount(strm, map.size());
    for (const auto& pair : map) {
      strm->Write(pair.first);
      strm->Write(pair.second);
    }
  }
  static bool Read(Stream* strm, ffi::Map<K, V>* map) {
    map->clear();
    return detail::ReadPairs<K, V>(
        strm, [map](K key, V value) { map->Set(std::move(key), std::move(value)); });
  }
};

}  // namespace support
}  // namespace tvm

#endif  // TVM_SUPPORT_SERIALIZER_H_
