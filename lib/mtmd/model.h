// A language model with its encoders of pictures and sound: weights, vocabulary, chat template. Shared between sessions
// and threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "encoders/projector/audio_projector.h"
#include "encoders/projector/projector.h"
#include "engine/chat/template.h"
#include "engine/decoder/decoder.h"
#include "engine/device/device.h"
#include "engine/gguf/gguf.h"
#include "engine/tokenizer/tokenizer.h"
#include "mtmd/prompt.h"

namespace mtmd {

struct ModelOptions {
  std::filesystem::path model = {};
  std::optional<std::filesystem::path> mmproj = {};  ///< nothing: the mmproj file beside the model, if there is one …
  bool look_for_mmproj = true;                       ///< … and this allows it
  /// Of the encoders' products. bf16_exact: as fast as the weights' own precision allows.
  Precision encoder_precision = Precision::bf16_exact;
  std::string device = "cpu";
  DeviceOptions device_options = {};
  std::string chat_template =
      {};  ///< name of a built-in template, a file, or Jinja source; empty: the model file's own
};

/// Which end of the model a tensor file is.
bool is_mmproj(const gguf::File& file);

/// The mmproj file that belongs to `model`: `mmproj-NAME.gguf`, `NAME-mmproj.gguf`, `NAME.mmproj.gguf`, or the only
/// file with `mmproj` in its name in the same folder. Nothing when there is none or it is not clear which.
std::optional<std::filesystem::path> find_mmproj(const std::filesystem::path& model);

class Model {
 public:
  /// Opens, checks and maps everything. Throws Error(input / model); an mmproj whose embeddings are not as wide as the
  /// text model's is refused.
  static std::shared_ptr<const Model> load(const ModelOptions& options);

  const gguf::File& file() const noexcept { return file_; }
  const gguf::File* mmproj_file() const noexcept { return mmproj_file_ ? &*mmproj_file_ : nullptr; }
  const Tokenizer& tokenizer() const noexcept { return *tokenizer_; }
  const encoders::Projector* projector() const noexcept { return projector_.get(); }
  const encoders::AudioProjector* audio_projector() const noexcept { return audio_projector_.get(); }
  Encoders encoders() const noexcept { return {projector_.get(), audio_projector_.get()}; }
  const chat::Template& chat_template() const noexcept { return *chat_template_; }
  /// Empty when the model file brings no template (then chatml stands in).
  std::string_view chat_template_source() const noexcept { return chat_template_source_; }
  Device& device() const noexcept { return *device_; }
  const decoder::DecoderSpec& spec() const noexcept { return spec_; }
  std::string name() const;
  encoders::Presets presets() const { return projector_ ? projector_->presets() : encoders::Presets{}; }
  encoders::AudioPresets audio_presets() const {
    return audio_projector_ ? audio_projector_->presets() : encoders::AudioPresets{};
  }
  std::uint64_t weight_bytes() const noexcept;
  std::vector<kv::LayerShape> kv_layers() const { return kv_layers_; }
  /// Identifies weights, metadata and tensor table without reading all data (SHA-256 over header and sizes).
  const std::string& fingerprint() const noexcept { return fingerprint_; }

 private:
  explicit Model(gguf::File file) : file_(std::move(file)) {}
  void load_encoders(const std::filesystem::path& mmproj, Precision precision);

  gguf::File file_;
  std::optional<gguf::File> mmproj_file_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<encoders::Projector> projector_;
  std::unique_ptr<encoders::AudioProjector> audio_projector_;
  std::optional<chat::Template> chat_template_;
  std::string chat_template_source_, fingerprint_;
  decoder::DecoderSpec spec_;
  std::vector<kv::LayerShape> kv_layers_;
};

}  // namespace mtmd
