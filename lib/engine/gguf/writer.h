// Writes GGUF v3.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd::gguf {

/// Collects metadata and tensor descriptions, then streams the file out. Keys keep their order; setting a key again
/// replaces it. `general.alignment` is the writer's own business: setting it has no effect. Written to a temporary name
/// beside the target, synced, renamed: a reader never sees half a file. Throws Error(output) when writing fails (the
/// old file, if any, stays) and Error(internal) when a tensor is described or produced wrongly.
class Writer {
 public:
  explicit Writer(std::uint32_t alignment = 32);  ///< a power of two from 8 on

  void set(std::string key, bool v);
  void set(std::string key, std::uint16_t v);
  void set(std::string key, std::uint32_t v);
  void set(std::string key, std::int32_t v);
  void set(std::string key, std::uint64_t v);
  void set(std::string key, std::int64_t v);
  void set(std::string key, float v);
  void set(std::string key, double v);
  void set(std::string key, std::string_view v);
  void set(std::string key, const char* v) { set(std::move(key), std::string_view(v)); }
  void set(std::string key, std::span<const std::uint8_t> v);
  void set(std::string key, std::span<const std::int32_t> v);
  void set(std::string key, std::span<const float> v);
  void set(std::string key, std::span<const std::string> v);
  void set(std::string key, const std::vector<bool>& v);
  void set(std::string key, const Value& v);  ///< copied from another file, type and all
  void remove(std::string_view key);

  /// `bytes(sink)` is called while writing and must hand over exactly the tensor's bytes, in pieces of any size.
  using Sink = std::function<void(std::span<const std::byte>)>;
  using Producer = std::function<void(const Sink&)>;
  void add_tensor(std::string name, DType type, std::vector<std::int64_t> shape, Producer bytes);
  void add_tensor(std::string name, DType type, std::vector<std::int64_t> shape, std::span<const std::byte> bytes);

  void write(const std::filesystem::path& path) const;
  std::vector<std::byte> to_memory() const;
  /// Everything before the data, padded: for a writer of its own that puts the tensors behind it in the order in which
  /// they were added, each padded to the alignment.
  std::vector<std::byte> header() const;

 private:
  struct Key {
    std::string name;
    std::vector<std::byte> encoded;  ///< value type and value, as in the file
  };
  struct TensorEntry {
    std::string name;
    DType type;
    std::vector<std::int64_t> shape;
    Producer bytes;
  };
  void set_encoded(std::string key, std::vector<std::byte> encoded);
  void emit(const Sink& sink) const;
  std::uint64_t tensor_bytes(const TensorEntry& t) const;

  std::uint32_t alignment_;
  std::vector<Key> keys_;
  std::vector<TensorEntry> tensors_;
  std::unordered_set<std::string> names_;  ///< of the tensors
};

}  // namespace mtmd::gguf
