#include "mtmd/convert/safetensors.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/base/checked.h"
#include "engine/base/error.h"

namespace mtmd::convert {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMaxHeader = 100u << 20;  // the limit of the format's own library

std::optional<DType> float_type(const std::string& name) {
  if (name == "F32") return DType::F32;
  if (name == "F16") return DType::F16;
  if (name == "BF16") return DType::BF16;
  if (name == "F64") return DType::F64;
  return std::nullopt;
}

bool is_integer_type(const std::string& name) {
  return name == "BOOL" || name == "U8" || name == "I8" || name == "I16" || name == "U16" || name == "I32" ||
         name == "U32" || name == "I64" || name == "U64";
}

class Table {
 public:
  Table(std::span<const std::byte> bytes, std::string file) : file_(std::move(file)) {
    std::uint64_t length = 0;
    if (bytes.size() < sizeof length) bad("the file has {} bytes, too few for a header", bytes.size());
    std::memcpy(&length, bytes.data(), sizeof length);
    if (length > kMaxHeader || length > bytes.size() - sizeof length)
      bad("the header announces {} bytes, the file has {} behind it", length, bytes.size() - sizeof length);
    const auto* text = reinterpret_cast<const char*>(bytes.data()) + sizeof length;
    header_ = Json::parse(text, text + length, nullptr, false);
    if (!header_.is_object()) bad("the header is no JSON object");
    data_ = bytes.subspan(sizeof length + length);
  }

  std::vector<StoredTensor> read() const {
    std::vector<StoredTensor> tensors;
    for (const auto& [name, entry] : header_.items()) {
      if (name == "__metadata__") continue;
      if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string()) bad("'{}' has no dtype", name);
      const std::string type = entry["dtype"];
      if (is_integer_type(type)) continue;
      const auto known = float_type(type);
      if (!known) bad("'{}' is of type {}; expected F32, F16, BF16 or F64", name, type);
      tensors.push_back({name, *known, shape(name, entry), {}});
      tensors.back().data = data(name, entry, tensors.back());
    }
    return tensors;
  }

 private:
  template <class... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorCategory::model, "{}: {}: no sound safetensors file", file_,
         fmt::format(format, std::forward<Args>(args)...));
  }

  std::vector<std::int64_t> shape(const std::string& name, const Json& entry) const {
    const Json& list = entry.value("shape", Json());
    if (!list.is_array() || list.size() > 8) bad("'{}' has no shape of up to 8 dimensions", name);
    std::vector<std::int64_t> result;
    for (const Json& d : list) {
      if (!d.is_number_unsigned() || d.get<std::uint64_t>() > (1ull << 40))
        bad("'{}' has a dimension {}", name, d.dump());
      result.push_back(d.get<std::int64_t>());
    }
    return result;
  }

  std::span<const std::byte> data(const std::string& name, const Json& entry, const StoredTensor& t) const {
    const Json& at = entry.value("data_offsets", Json());
    if (!at.is_array() || at.size() != 2 || !at[0].is_number_unsigned() || !at[1].is_number_unsigned())
      bad("'{}' has no data_offsets", name);
    const auto begin = at[0].get<std::uint64_t>(), end = at[1].get<std::uint64_t>();
    if (begin > end || end > data_.size())
      bad("'{}' lies at {} to {} of {} bytes of data", name, begin, end, data_.size());
    auto wanted = std::optional<std::uint64_t>(info(t.type).block_bytes);
    for (const std::int64_t d : t.shape)
      if (wanted) wanted = checked_mul(*wanted, static_cast<std::uint64_t>(d));
    if (!wanted || *wanted != end - begin)
      bad("'{}' has {} bytes of data, its shape asks for others", name, end - begin);
    return data_.subspan(begin, end - begin);
  }

  std::string file_;
  Json header_;
  std::span<const std::byte> data_;
};

}  // namespace

std::vector<StoredTensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& file) {
  return Table(bytes, file).read();
}

Safetensors::Safetensors(const std::filesystem::path& path)
    : file_(path), tensors_(parse_safetensors(file_.bytes(), path.string())) {}

}  // namespace mtmd::convert
