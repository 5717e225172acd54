#include "engine/gguf/writer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/base/checked.h"
#include "engine/base/error.h"
#include "engine/base/output_file.h"
#include "engine/gguf/reader.h"

namespace mtmd::gguf {
namespace {

using Bytes = std::vector<std::byte>;

void append(Bytes& out, const void* data, std::size_t n) {
  const auto* p = static_cast<const std::byte*>(data);
  out.insert(out.end(), p, p + n);
}

template <class T>
void append_number(Bytes& out, T v) {
  append(out, &v, sizeof v);
}

void append_string(Bytes& out, std::string_view s) {
  append_number<std::uint64_t>(out, s.size());
  append(out, s.data(), s.size());
}

void append_type(Bytes& out, ValueType type) { append_number(out, static_cast<std::uint32_t>(type)); }

template <class T>
Bytes scalar(ValueType type, T v) {
  Bytes out;
  append_type(out, type);
  append_number(out, v);
  return out;
}

Bytes array_of(ValueType type, std::size_t count) {
  Bytes out;
  append_type(out, ValueType::array);
  append_type(out, type);
  append_number<std::uint64_t>(out, count);
  return out;
}

/// The elements of a value, without its own type.
void append_elements(Bytes& out, const Value& v) {
  for (std::size_t i = 0; i < v.size(); ++i) {
    if (v.element_type() == ValueType::string) {
      append_string(out, *v.as_string(i));
    } else if (v.element_type() == ValueType::array) {
      const Value inner = *v.as_array(i);
      append_type(out, inner.element_type());
      append_number<std::uint64_t>(out, inner.size());
      append_elements(out, inner);
    }
  }
  append(out, v.raw_scalars().data(), v.raw_scalars().size());
}

}  // namespace

Writer::Writer(std::uint32_t alignment) : alignment_(alignment) {
  if (!std::has_single_bit(alignment) || alignment < 8)
    fail(ErrorCategory::internal, "alignment {} is not a power of two from 8 on", alignment);
}

void Writer::set(std::string key, bool v) { set_encoded(std::move(key), scalar<std::uint8_t>(ValueType::boolean, v)); }
void Writer::set(std::string key, std::uint16_t v) { set_encoded(std::move(key), scalar(ValueType::u16, v)); }
void Writer::set(std::string key, std::uint32_t v) { set_encoded(std::move(key), scalar(ValueType::u32, v)); }
void Writer::set(std::string key, std::int32_t v) { set_encoded(std::move(key), scalar(ValueType::i32, v)); }
void Writer::set(std::string key, std::uint64_t v) { set_encoded(std::move(key), scalar(ValueType::u64, v)); }
void Writer::set(std::string key, std::int64_t v) { set_encoded(std::move(key), scalar(ValueType::i64, v)); }
void Writer::set(std::string key, float v) { set_encoded(std::move(key), scalar(ValueType::f32, v)); }
void Writer::set(std::string key, double v) { set_encoded(std::move(key), scalar(ValueType::f64, v)); }

void Writer::set(std::string key, std::string_view v) {
  Bytes out;
  append_type(out, ValueType::string);
  append_string(out, v);
  set_encoded(std::move(key), std::move(out));
}

void Writer::set(std::string key, std::span<const std::int32_t> v) {
  Bytes out = array_of(ValueType::i32, v.size());
  append(out, v.data(), v.size_bytes());
  set_encoded(std::move(key), std::move(out));
}

void Writer::set(std::string key, std::span<const std::uint8_t> v) {
  Bytes out = array_of(ValueType::u8, v.size());
  append(out, v.data(), v.size_bytes());
  set_encoded(std::move(key), std::move(out));
}

void Writer::set(std::string key, const std::vector<bool>& v) {
  Bytes out = array_of(ValueType::boolean, v.size());
  for (const bool b : v) append_number<std::uint8_t>(out, b);
  set_encoded(std::move(key), std::move(out));
}

void Writer::set(std::string key, std::span<const float> v) {
  Bytes out = array_of(ValueType::f32, v.size());
  append(out, v.data(), v.size_bytes());
  set_encoded(std::move(key), std::move(out));
}

void Writer::set(std::string key, std::span<const std::string> v) {
  Bytes out = array_of(ValueType::string, v.size());
  for (const std::string& s : v) append_string(out, s);
  set_encoded(std::move(key), std::move(out));
}

void Writer::set(std::string key, const Value& v) {
  Bytes out;
  append_type(out, v.type());
  if (v.is_array()) {
    append_type(out, v.element_type());
    append_number<std::uint64_t>(out, v.size());
  }
  append_elements(out, v);
  set_encoded(std::move(key), std::move(out));
}

void Writer::set_encoded(std::string key, std::vector<std::byte> encoded) {
  if (key.empty()) fail(ErrorCategory::internal, "a metadata key needs a name");
  if (key == "general.alignment") return;
  const auto it = std::ranges::find(keys_, key, &Key::name);
  if (it != keys_.end()) {
    it->encoded = std::move(encoded);
  } else {
    keys_.push_back({std::move(key), std::move(encoded)});
  }
}

void Writer::remove(std::string_view key) {
  std::erase_if(keys_, [&](const Key& k) { return k.name == key; });
}

void Writer::add_tensor(std::string name, DType type, std::vector<std::int64_t> shape, Producer bytes) {
  std::optional<std::int64_t> n = 1;
  for (const std::int64_t d : shape) n = n && d >= 1 ? checked_mul(*n, d) : std::nullopt;
  if (name.empty() || shape.empty() || shape.size() > 4 || !n || shape.back() % info(type).block_size != 0)
    fail(ErrorCategory::internal, "tensor {} of {} dimensions cannot be stored as {}", in_quotes(name), shape.size(),
         mtmd::name(type));
  if (!names_.insert(name).second) fail(ErrorCategory::internal, "tensor {} is added twice", in_quotes(name));
  tensors_.push_back({std::move(name), type, std::move(shape), std::move(bytes)});
}

void Writer::add_tensor(std::string name, DType type, std::vector<std::int64_t> shape,
                        std::span<const std::byte> bytes) {
  add_tensor(std::move(name), type, std::move(shape), [bytes](const Sink& sink) { sink(bytes); });
}

std::uint64_t Writer::tensor_bytes(const TensorEntry& t) const {
  std::int64_t n = 1;
  for (const std::int64_t d : t.shape) n *= d;
  return row_bytes(t.type, n);
}

std::vector<std::byte> Writer::header() const {
  const std::uint64_t n_keys = keys_.size() + (alignment_ != 32);
  Bytes out;
  append(out, "GGUF", 4);
  append_number<std::uint32_t>(out, 3);
  append_number<std::uint64_t>(out, tensors_.size());
  append_number<std::uint64_t>(out, n_keys);
  if (alignment_ != 32) {
    append_string(out, "general.alignment");
    append_type(out, ValueType::u32);
    append_number(out, alignment_);
  }
  for (const Key& k : keys_) {
    append_string(out, k.name);
    append(out, k.encoded.data(), k.encoded.size());
  }
  std::uint64_t offset = 0;
  for (const TensorEntry& t : tensors_) {
    append_string(out, t.name);
    append_number(out, static_cast<std::uint32_t>(t.shape.size()));
    for (auto d = t.shape.rbegin(); d != t.shape.rend(); ++d) append_number(out, *d);
    append_number(out, static_cast<std::uint32_t>(t.type));
    append_number(out, offset);
    offset += round_up<std::uint64_t>(tensor_bytes(t), alignment_);
  }
  out.resize(round_up<std::size_t>(out.size(), alignment_));
  return out;
}

void Writer::emit(const Sink& sink) const {
  sink(header());
  const Bytes zeros(alignment_);
  for (const TensorEntry& t : tensors_) {
    const std::uint64_t wanted = tensor_bytes(t);
    std::uint64_t written = 0;
    t.bytes([&](std::span<const std::byte> piece) {
      written += piece.size();
      if (written <= wanted) sink(piece);
    });
    if (written != wanted)
      fail(ErrorCategory::internal, "tensor {}: {} bytes were produced, its shape and type ask for {}",
           in_quotes(t.name), written, wanted);
    sink(std::span(zeros).first(round_up<std::uint64_t>(wanted, alignment_) - wanted));
  }
}

void Writer::write(const std::filesystem::path& path) const {
  OutputFile file(path);
  emit([&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.commit();
}

std::vector<std::byte> Writer::to_memory() const {
  Bytes out;
  emit([&](std::span<const std::byte> bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); });
  return out;
}

}  // namespace mtmd::gguf
