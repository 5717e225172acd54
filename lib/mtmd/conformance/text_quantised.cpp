#include "mtmd/conformance/text_quantised.h"

#include <algorithm>
#include <array>
#include <span>

#include "engine/base/error.h"
#include "mtmd/quantize/job.h"

namespace mtmd::conformance {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kSuffix = ".golden.gguf";

/// CRC-32 of ISO 3309, as in zip and png.
std::uint32_t crc32_of(std::span<const std::byte> bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t i = 0; i < t.size(); ++i) {
      t[i] = i;
      for (int bit = 0; bit < 8; ++bit) t[i] = t[i] >> 1 ^ (t[i] & 1 ? 0xedb88320u : 0);
    }
    return t;
  }();
  std::uint32_t crc = ~0u;
  for (const std::byte b : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<std::uint32_t>(b)) & 0xff];
  return ~crc;
}

/// Types whose encoding without importance is a formula, not a search (quant/README.md).
bool must_be_exact(DType type, bool imatrix) {
  switch (type) {
    case DType::F32:
    case DType::F16:
    case DType::BF16:
    case DType::Q8_0:
    case DType::MXFP4:
    case DType::TQ1_0:
    case DType::TQ2_0:
      return true;
    case DType::Q4_0:
    case DType::Q4_1:
    case DType::Q5_0:
    case DType::Q5_1:
      return !imatrix;
    default:
      return false;
  }
}

}  // namespace

std::optional<QuantisedRecording> read_quantised_recording(const fs::path& golden) {
  const gguf::File file = gguf::File::open(golden);
  const gguf::Metadata& m = file.metadata();
  if (!m.has("golden.quant_type")) return std::nullopt;
  QuantisedRecording r;
  r.type = m.require<std::string_view>("golden.quant_type");
  r.imatrix = m.require<bool>("golden.quant_imatrix");
  for (const auto name : m.require<std::vector<std::string_view>>("golden.quant_tensor_names"))
    r.names.emplace_back(name);
  for (const auto type : m.require<std::vector<std::string_view>>("golden.quant_tensor_types"))
    r.types.emplace_back(type);
  const gguf::Value* crc = m.find("golden.quant_tensor_crc32");
  for (std::size_t i = 0; crc && i < crc->size(); ++i)
    r.crc32.push_back(static_cast<std::uint32_t>(crc->as_integer(i).value_or(0)));
  if (r.names.empty() || r.types.size() != r.names.size() || r.crc32.size() != r.names.size())
    fail(ErrorCategory::failed, "{}: the recorded tensors are damaged", m.file());
  return r;
}

std::optional<std::vector<std::byte>> quantise_like(const fs::path& golden, const QuantisedRecording& r) {
  std::string name = golden.filename().string();
  name.resize(name.size() - kSuffix.size());
  if (!name.ends_with("-" + r.type)) fail(ErrorCategory::failed, "{}: its name does not end in {}", name, r.type);
  name.resize(name.size() - r.type.size() - 1);
  const fs::path model = golden.parent_path() / (name + ".gguf"),
                 imatrix = golden.parent_path() / (name + ".imatrix.gguf");
  if (!fs::exists(model) || (r.imatrix && !fs::exists(imatrix))) return std::nullopt;
  quantize::ImportanceWeights importance;
  if (r.imatrix) importance = quantize::importance_weights(quality::read_imatrix(imatrix), imatrix);
  quantize::PlanOptions options;
  options.recipe.type = &quantize::file_type(r.type);
  options.importance = &importance;
  options.provenance = false;
  const gguf::File file = gguf::File::open(model);
  return quantize::to_memory(file, quantize::make_plan(file, options));
}

QuantisedDifference compare_quantised(const gguf::File& model, const QuantisedRecording& r) {
  QuantisedDifference d;
  d.n_tensors = r.names.size();
  if (model.tensors().size() != r.names.size())
    d.wrong_types = fmt::format("{} tensors, recorded {}", model.tensors().size(), r.names.size());
  for (std::size_t i = 0; i < r.names.size(); ++i) {
    const gguf::TensorInfo* t = model.find(r.names[i]);
    const std::string_view found = t ? name(t->type) : "missing";
    if (found != r.types[i]) {
      if (d.wrong_types.empty()) d.wrong_types = fmt::format("{}: {}, recorded {}", r.names[i], found, r.types[i]);
    } else if (crc32_of(t->data) == r.crc32[i]) {
      ++d.n_identical;
    } else if (must_be_exact(t->type, r.imatrix) && d.wrong_bytes.empty()) {
      d.wrong_bytes = fmt::format("{} ({}): other bytes than recorded", r.names[i], found);
    }
  }
  return d;
}

}  // namespace mtmd::conformance
