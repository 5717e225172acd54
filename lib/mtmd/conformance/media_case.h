// Recorded media cases of one model folder: chunks, preprocessed pictures, embeddings, logits, greedy tokens.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "encoders/projector/audio_projector.h"
#include "encoders/projector/projector.h"
#include "engine/decoder/decoder.h"
#include "engine/tokenizer/tokenizer.h"
#include "mtmd/conformance/conformance.h"
#include "mtmd/prompt.h"

namespace mtmd::conformance {

/// A folder with mmproj.gguf, model.gguf and cases (<case>.golden.gguf); inputs are in `root`/inputs.
struct MediaModel {
  std::filesystem::path folder, root;
  Device& device;
  std::optional<gguf::File> mmproj, text;
  std::unique_ptr<encoders::Projector> projector;
  std::unique_ptr<encoders::AudioProjector> audio_projector;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<decoder::Decoder> decoder;
  std::string unsupported;       ///< why no case of this folder can run
  std::string text_unsupported;  ///< why its text model cannot

  MediaModel(std::filesystem::path folder, std::filesystem::path root, Device& device);
  /// Opens both files the first time. Throws Error.
  void open();
  Encoders encoders() const noexcept { return {projector.get(), audio_projector.get()}; }

 private:
  bool opened_ = false;
  void open_encoders();
};

/// Runs one case; never throws for what a file holds.
void run_media_case(MediaModel& model, const std::filesystem::path& golden, const Sink& sink);

}  // namespace mtmd::conformance
