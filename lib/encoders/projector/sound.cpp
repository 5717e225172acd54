#include "encoders/projector/sound.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

/// Frames times width encoded at once, unless one input has more: two windows of Whisper large, seven of tiny. Scratch
/// is about 20 times as many values; wider batches are no faster.
constexpr std::int64_t kValuesPerPass = std::int64_t{1} << 23;

void require_sound(std::span<const float> samples) {
  if (samples.empty()) fail(ErrorCategory::input, "a recording without samples has nothing to hear");
  if (samples.size() / audio::kRate >= AudioProjector::kMostSeconds) {
    fail(ErrorCategory::input, "a recording of {} s is too long for one prompt, at most {} s fit; cut it",
         samples.size() / audio::kRate, AudioProjector::kMostSeconds);
  }
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!std::isfinite(samples[i])) {
      fail(ErrorCategory::input, "sample {} of the recording is {}: the file is damaged", i, samples[i]);
    }
  }
}

}  // namespace

SoundProjector::SoundProjector(std::string_view type, const gguf::File& file, Device& device, SoundMarkers markers)
    : metadata_(file.metadata()),
      device_(device),
      weights_(file),
      hparams_(read_audio_hparams(metadata_)),
      type_(type),
      markers_(std::move(markers)) {}

AudioPreprocessed SoundProjector::preprocess(std::span<const float> samples) const {
  require_sound(samples);
  AudioPreprocessed out;
  const auto n = static_cast<std::int64_t>(samples.size());
  const auto window = static_cast<std::int64_t>(window_seconds_ * audio::kRate);
  std::vector<audio::Mel> mels = windows(samples);
  if (!markers_.begin.empty()) out.layout.push_back({markers_.begin});
  for (std::size_t i = 0; i < mels.size(); ++i) {
    const std::int64_t begin = std::min(n, static_cast<std::int64_t>(i) * window);
    const bool last = i + 1 == mels.size();
    out.inputs.push_back({std::move(mels[i]), begin, last ? n : std::min(n, begin + window)});
    out.layout.push_back({"", static_cast<int>(i)});
  }
  if (!markers_.end.empty()) out.layout.push_back({markers_.end});
  return out;
}

Tensor SoundProjector::encode(std::span<const AudioInput* const> inputs, Workspace& ws) const {
  if (inputs.empty()) fail(ErrorCategory::internal, "nothing to encode");
  const audio::Mel& shape = inputs.front()->mel;
  std::vector<const audio::Mel*> mels;
  for (const AudioInput* input : inputs) {
    if (input->mel.frames != shape.frames || input->mel.bands != shape.bands) {
      fail(ErrorCategory::internal, "inputs of one batch differ in shape");
    }
    mels.push_back(&input->mel);
  }
  const std::int64_t n = n_tokens(*inputs.front());
  const Tensor y = ws.tensor(static_cast<std::int64_t>(mels.size()) * n, text_width());
  const std::int64_t per_pass =
      std::max<std::int64_t>(1, kValuesPerPass / (std::int64_t{std::max(1, shape.frames)} * hparams_.n_embd));
  for (std::size_t begin = 0; begin < mels.size(); begin += static_cast<std::size_t>(per_pass)) {
    const auto part = std::span<const audio::Mel* const>(mels).subspan(
        begin, std::min(static_cast<std::size_t>(per_pass), mels.size() - begin));
    const Workspace::Scope scope(ws);
    embed(y.rows_at(static_cast<std::int64_t>(begin) * n, static_cast<std::int64_t>(part.size()) * n), part, ws);
  }
  check_finite(y, metadata_.file());
  return y;
}

AudioPresets SoundProjector::trained_prompts() const {
  AudioPresets presets;
  presets.transcribe_prompt = "Transcribe the audio.";
  return presets;
}

AudioPresets SoundProjector::presets() const {
  AudioPresets presets = trained_prompts();
  if (const auto prompt = metadata_.get<std::string_view>("mtmd.transcribe_prompt"))
    presets.transcribe_prompt = *prompt, presets.system.clear();
  if (const gguf::Value* seconds = metadata_.find("mtmd.clip_seconds"))
    presets.clip_seconds = std::max(1.0, std::min(3600.0, seconds->as_number().value_or(presets.clip_seconds)));
  return presets;
}

void SoundProjector::bad_model(const std::string& what) const {
  fail(ErrorCategory::model, "{}: {}", metadata_.file(), what);
}

}  // namespace mtmd::encoders
