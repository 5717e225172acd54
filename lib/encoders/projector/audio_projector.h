// The same questions as of pictures (projector.h), asked of sound: preprocess it; how many tokens will each input
// become; encode inputs in one batch. One file per projector type. Audio tokens take one position each, on every axis.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "encoders/audio/mel.h"
#include "encoders/projector/projector.h"

namespace mtmd::encoders {

/// One window of a recording as its encoder takes it.
struct AudioInput {
  audio::Mel mel;
  /// Samples of the recording that this window is about; windows follow each other without a gap, the last one ends
  /// with the recording. A window that holds nothing but the silence behind it has begin == end.
  std::int64_t begin = 0, end = 0;
};

struct AudioPreprocessed {
  std::vector<AudioInput> inputs;
  std::vector<Piece> layout;  ///< every input once, in order
};

/// What the model was trained to be asked, shown by `mtmd inspect`, used by `transcribe`. In prompt and answer,
/// "{language}" stands for `with_language` where a language is given and for `any_language` otherwise.
struct AudioPresets {
  std::string system = {};  ///< where the chat template has roles, this asks and the sound stands alone; empty: no
  std::string transcribe_prompt;
  std::string answer = {};         ///< how the model is made to begin its answer
  std::string with_language = {};  ///< "{name}" is the English name, "{code}" the ISO 639 code; empty: takes no hint
  std::string any_language = {};
  /// A token that stands before the transcription. Where the vocabulary has it, the model does nothing but transcribe:
  /// it is given the sound alone, and its answer is "language NAME", this token, the text.
  std::string transcript_token = {};
  std::string gap = "\n";              ///< between the sound and the prompt
  std::vector<std::string> stop = {};  ///< texts or tokens that end an answer, besides those the vocabulary names
  double clip_seconds = 30;            ///< of sound in one prompt, as in training
};

class AudioProjector {
 public:
  virtual ~AudioProjector() = default;
  virtual std::string_view type() const noexcept = 0;
  virtual int text_width() const noexcept = 0;  ///< columns of the embeddings
  /// samples: mono at audio::kRate. Throws Error(input) for no samples at all, values that are not finite, and
  /// recordings longer than kMostSeconds.
  virtual AudioPreprocessed preprocess(std::span<const float> samples) const = 0;
  virtual int n_tokens(const AudioInput& input) const = 0;
  /// Inputs of equal shape (bands and frames) in one batch -> [inputs * tokens, text_width] in `ws`, input after input.
  virtual Tensor encode(std::span<const AudioInput* const> inputs, Workspace& ws) const = 0;
  /// What one input covers at most; a transcriber cuts longer recordings at pauses.
  virtual double max_window_seconds() const noexcept = 0;
  virtual AudioPresets presets() const { return {}; }
  /// As Projector::follow_reference().
  virtual void follow_reference() noexcept {}

  static constexpr int kMostSeconds = 4 * 3600;  ///< of one recording in one prompt
};

/// Which encoders an mmproj file holds; files of both kinds may hold two.
bool has_audio_encoder(const gguf::Metadata& metadata);
bool has_vision_encoder(const gguf::Metadata& metadata);

/// Opens the audio part of an mmproj file; otherwise as load_projector().
std::unique_ptr<AudioProjector> load_audio_projector(const gguf::File& file, Device& device);
std::vector<std::string_view> audio_projector_types();
Verified audio_verified(std::string_view type) noexcept;

}  // namespace mtmd::encoders
