#include "bench/shapes.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <tuple>

#include "bench/random_rows.h"
#include "bench/tensor_list.h"
#include "engine/base/error.h"
#include "mtmd/quantize/file_type.h"
#include "mtmd/quantize/plan.h"

namespace mtmd::bench {
namespace {

struct Shape {
  std::string_view name;
  std::optional<TextShape> text;
  std::optional<EncoderShape> encoder;
};

const TextShape kTiny{"llama", 256, 4, 4, 2, 64, 512, 512, 4096, 1e4f};
const TextShape kQwen05{"qwen2", 896, 24, 14, 2, 64, 4864, 151936, 32768, 1e6f, true};
const TextShape kQwen15{"qwen2", 1536, 28, 12, 2, 128, 8960, 151936, 32768, 1e6f, true};
const TextShape kQwen2Vl{"qwen2vl", 1536, 28, 12, 2, 128, 8960, 151936, 32768, 1e6f, true, false, false, false, {16, 24, 24, 0}};
const TextShape kLlama1{"llama", 2048, 16, 32, 8, 64, 8192, 128256, 131072, 5e5f, false, true};
const TextShape kSmol{"llama", 960, 32, 15, 5, 64, 2560, 49280, 8192, 1e5f};
const TextShape kQwen3{"qwen3", 1024, 28, 16, 8, 128, 3072, 151936, 40960, 1e6f, false, false, true};
const TextShape kGemma4b{"gemma3", 2560, 34, 8, 4, 256, 10240, 262144, 131072, 1e6f, false, false, true, true, {}, 1024};

const std::array kShapes = {
    // Not worth measuring: for tests of the tool.
    Shape{"test-tiny", kTiny, {}},
    Shape{"test-tiny-sight", kTiny, EncoderShape{"idefics3", 64, 2, 4, 128, 256, 64, 16, 2}},
    Shape{"test-tiny-sound", kTiny, EncoderShape{"ultravox", 64, 2, 4, 128, 256, 0, 0, 0, 80, 8, 128}},
    Shape{"qwen2.5-0.5b", kQwen05, {}},
    Shape{"qwen2.5-1.5b", kQwen15, {}},
    Shape{"llama-3.2-1b", kLlama1, {}},
    Shape{"smollm2-360m", kSmol, {}},
    Shape{"qwen3-0.6b", kQwen3, {}},
    Shape{"smolvlm-500m", kSmol, EncoderShape{"idefics3", 768, 12, 12, 3072, 960, 512, 16, 4}},
    Shape{"qwen2-vl-2b", kQwen2Vl, EncoderShape{"qwen2vl_merger", 1280, 32, 16, 5120, 1536, 560, 14}},
    Shape{"gemma-3-4b", kGemma4b, EncoderShape{"gemma3", 1152, 27, 16, 4304, 2560, 896, 14}},
    Shape{"ultravox-1b", kLlama1, EncoderShape{"ultravox", 1280, 32, 20, 5120, 2048, 0, 0, 0, 128, 8, 4096}},
    // The encoders alone.
    Shape{"smolvlm-500m-vision", {}, EncoderShape{"idefics3", 768, 12, 12, 3072, 960, 512, 16, 4, 0, 0, 0, 512}},  // one tile
    Shape{"qwen2-vl-2b-vision", {}, EncoderShape{"qwen2vl_merger", 1280, 32, 16, 5120, 1536, 560, 14}},
    Shape{"gemma-3-4b-vision", {}, EncoderShape{"gemma3", 1152, 27, 16, 4304, 2560, 896, 14}},
    Shape{"whisper-large-v3", {}, EncoderShape{"ultravox", 1280, 32, 20, 5120, 2048, 0, 0, 0, 128, 8, 4096}}};

/// What fills a tensor: patterns are made once per kind.
class Patterns {
 public:
  std::span<const std::byte> of(const MadeTensor& t) {
    const Key key{t.type, t.shape.back(), t.mean, t.scale};
    auto& pattern = patterns_[key];
    if (pattern.empty()) pattern = t.mean == 0 ? random_pattern(t.type, t.shape.back(), t.scale) : constants(t);
    return pattern;
  }

 private:
  using Key = std::tuple<DType, std::int64_t, float, float>;
  static std::vector<std::byte> constants(const MadeTensor& t) {  // norms: all equal is as good as any
    const std::vector<float> values(static_cast<std::size_t>(t.shape.back()), t.mean);
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
  }
  std::map<Key, std::vector<std::byte>> patterns_;
};

std::uint64_t bytes_of(const MadeTensor& t) {
  std::uint64_t rows = 1;
  for (std::size_t i = 0; i + 1 < t.shape.size(); ++i) rows *= static_cast<std::uint64_t>(t.shape[i]);
  return rows * row_bytes(t.type, t.shape.back());
}

/// `filled`: with values; otherwise only described, and no memory is taken for the data.
std::unique_ptr<MemoryFile> in_memory(const MadeModel& made, std::string name, bool filled) {
  gguf::Writer writer = made.writer;
  for (const MadeTensor& t : made.tensors) writer.add_tensor(t.name, t.type, t.shape, gguf::Writer::Producer());
  const std::vector<std::byte> header = writer.header();
  std::uint64_t total = header.size();
  constexpr std::uint64_t kAlignment = 32;
  const auto padded = [](std::uint64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; };
  for (const MadeTensor& t : made.tensors) total += padded(bytes_of(t));
  const int fd = ::memfd_create(name.c_str(), MFD_CLOEXEC);
  if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(total)) != 0) {
    if (fd >= 0) ::close(fd);
    fail(ErrorCategory::resource, "bench --shape {}: no memory for {} MiB: {}", name, total >> 20, std::strerror(errno));
  }
  void* p = ::mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED) {
    ::close(fd);
    fail(ErrorCategory::resource, "bench --shape {}: no memory for {} MiB: {}", name, total >> 20, std::strerror(errno));
  }
  auto* bytes = static_cast<std::byte*>(p);
  std::memcpy(bytes, header.data(), header.size());
  if (filled) {
    Patterns patterns;
    std::uint64_t at = header.size();
    for (const MadeTensor& t : made.tensors) {
      fill({bytes + at, bytes_of(t)}, patterns.of(t));
      at += padded(bytes_of(t));
    }
  }
  ::munmap(p, total);
  try {
    return std::make_unique<MemoryFile>(fd, gguf::File::open(fmt::format("/proc/self/fd/{}", fd)));
  } catch (...) {
    ::close(fd);
    throw;
  }
}

/// The types that `mtmd quantize` gives the tensors of this model.
void choose_types(MadeModel& made, const quantize::FileType& type) {
  const auto described = in_memory(made, "shape", false);
  quantize::PlanOptions options{.recipe = {}, .draft = true, .provenance = false};
  options.recipe.type = &type;
  const quantize::Plan plan = quantize::make_plan(described->file(), options);
  std::map<std::string, DType, std::less<>> chosen;
  for (const quantize::PlannedTensor& t : plan.tensors) chosen[t.name] = t.choice.type;
  for (MadeTensor& t : made.tensors)
    if (const auto found = chosen.find(t.name); found != chosen.end()) t.type = found->second;
}

DType encoder_type(const quantize::FileType& type) {
  for (const DType t : {DType::F32, DType::BF16, DType::Q8_0})
    if (type.base == t) return t;
  return DType::F16;
}

}  // namespace

MemoryFile::~MemoryFile() { ::close(fd_); }

std::span<const std::string_view> shape_names() noexcept {
  static const auto names = [] {
    std::array<std::string_view, kShapes.size()> list;
    for (std::size_t i = 0; i < list.size(); ++i) list[i] = kShapes[i].name;
    return list;
  }();
  return names;
}

RandomModel random_model(std::string_view shape, std::string_view type_name) {
  const auto found = std::ranges::find(kShapes, shape, &Shape::name);
  if (found == kShapes.end()) {
    std::string names;
    for (const std::string_view n : shape_names()) names += (names.empty() ? "" : ", ") + std::string(n);
    fail(ErrorCategory::usage, "bench: --shape {}: no such shape; there are {}", shape, names);
  }
  const quantize::FileType& type = quantize::file_type(type_name);
  RandomModel model{fmt::format("{} {}", shape, type.name), nullptr, nullptr};
  if (found->text) {
    MadeModel made = made_text(*found->text);
    choose_types(made, type);
    model.text = in_memory(made, std::string(shape), true);
  }
  if (found->encoder) model.encoder = in_memory(made_encoder(*found->encoder, encoder_type(type)), std::string(shape), true);
  return model;
}

}  // namespace mtmd::bench
