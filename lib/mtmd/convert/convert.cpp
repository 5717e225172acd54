#include "mtmd/convert/convert.h"

#include <fmt/ranges.h>

#include <optional>

#include "engine/base/error.h"
#include "mtmd/convert/builder.h"
#include "mtmd/convert/family/family.h"
#include "mtmd/convert/hf_tokenizer.h"

namespace mtmd::convert {
namespace {

namespace fs = std::filesystem;

const Family& find_family(const Config& config) {
  const nlohmann::json* names = config.find("architectures");
  if (!names || !names->is_array() || names->empty() || !names->front().is_string())
    config.reject("architectures", "a list that begins with the name of a class");
  const std::string name = names->front();
  for (const Family& family : families())
    if (family.hf_class == name) return family;
  fail(ErrorCategory::model, "{}: architecture '{}' is not converted; supported: {}", config.where(), name,
       fmt::join(supported_classes(), ", "));
}

Source complete(Config config, const Family& family, const fs::path& folder) {
  const Config text = config.has("text_config") ? config.object("text_config") : config;
  const Config vision = config.object_or_empty("vision_config");
  return {std::move(config), text.with_defaults(family.text_defaults), vision.with_defaults(family.vision_defaults),
          Config::read_if_present(folder / "preprocessor_config.json")};
}

/// GGUF's number for "mostly" this type.
std::uint32_t file_type(OutputType type, DType common) {
  const bool bf16 = type == OutputType::bf16 || (type == OutputType::automatic && common == DType::BF16);
  return type == OutputType::f32 ? 0 : bf16 ? 32 : 1;
}

}  // namespace

struct Converter::Impl {
  Impl(const fs::path& from, Options given) : Impl(from, std::move(given), Config::read(from / "config.json")) {}
  Impl(const fs::path& from, Options given, Config config)
      : folder(from),
        options(std::move(given)),
        family(find_family(config)),
        source(complete(std::move(config), family, from)),
        checkpoint(from) {
    if (options.name.empty()) options.name = fs::canonical(folder).filename().string();
  }

  Builder begin(const char* type, std::string prefix, std::string_view architecture) const {
    Builder b(checkpoint, options.type, std::move(prefix));
    b.writer.set("general.architecture", architecture);
    b.writer.set("general.type", type);
    b.writer.set("general.name", options.name);
    b.writer.set("general.file_type", file_type(options.type, checkpoint.common_type()));
    b.writer.set("general.quantization_version", std::uint32_t{2});
    return b;
  }

  /// Both halves are laid out before either is written, so that a tensor that neither reads is noticed.
  void lay_out() {
    text.emplace(begin("model", std::string(family.architecture), family.architecture));
    n_vocab = family.text(*text, source);
    if (family.vision) {
      vision.emplace(begin("mmproj", "clip.vision", "clip"));
      vision->writer.set("clip.has_vision_encoder", true);
      vision->writer.set("clip.projector_type", family.projector);
      family.vision(*vision, source);
    }
    auto unused = checkpoint.unused();
    std::erase_if(unused, [](const std::string& name) { return name.ends_with("rotary_emb.inv_freq"); });
    if (unused.empty()) return;
    const std::size_t n = unused.size();
    unused.resize(std::min<std::size_t>(n, 5));
    fail(ErrorCategory::model, "{}: {} tensors have no place in a {} model, among them '{}'", checkpoint.folder(), n,
         family.architecture, fmt::join(unused, "', '"));
  }

  fs::path folder;
  Options options;
  const Family& family;
  Source source;
  Checkpoint checkpoint;
  std::optional<Builder> text, vision;
  std::int64_t n_vocab = 0;
  std::vector<std::string> warnings;
};

Converter::Converter(const fs::path& folder, Options options) {
  if (!fs::is_directory(folder)) fail(ErrorCategory::input, "{}: not a folder", folder.string());
  impl_ = std::make_unique<Impl>(folder, std::move(options));
  impl_->lay_out();
  impl_->warnings = impl_->text->warnings;
  if (impl_->vision)
    impl_->warnings.insert(impl_->warnings.end(), impl_->vision->warnings.begin(), impl_->vision->warnings.end());
}

Converter::~Converter() = default;
std::string_view Converter::architecture() const noexcept { return impl_->family.architecture; }
std::string_view Converter::projector() const noexcept { return impl_->family.projector; }
const std::vector<std::string>& Converter::warnings() const noexcept { return impl_->warnings; }

Written Converter::write_model(const fs::path& path) {
  put_tokenizer(impl_->text->writer, impl_->folder, impl_->source.text, {impl_->n_vocab, impl_->options.pre_tokenizer});
  return impl_->text->write(path, impl_->options);
}

Written Converter::write_mmproj(const fs::path& path) {
  if (!impl_->vision) fail(ErrorCategory::usage, "{}: the model has no vision part", impl_->folder.string());
  return impl_->vision->write(path, impl_->options);
}

std::vector<std::string_view> supported_classes() {
  std::vector<std::string_view> names;
  for (const Family& family : families()) names.push_back(family.hf_class);
  return names;
}

}  // namespace mtmd::convert
