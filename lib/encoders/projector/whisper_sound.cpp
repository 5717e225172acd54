#include "encoders/projector/whisper_sound.h"

namespace mtmd::encoders {

void WhisperSound::embed(Tensor y, std::span<const audio::Mel* const> windows, Workspace& ws) const {
  const Tensor x = ws.tensor(static_cast<std::int64_t>(windows.size()) * Whisper::kRows, hparams_.n_embd);
  whisper_.run(ws, x, windows);
  project(y, x, ws);
}

Tensor WhisperSound::pooled(Workspace& ws, Tensor x) const {
  const std::int64_t d = x.cols;
  const Tensor pairs = x.reshaped(x.rows / 2, 2 * d), y = ws.tensor(pairs.rows, d);
  device_.add(y, pairs.cols_at(0, d), pairs.cols_at(d, d));
  device_.scale(y, y, 0.5f);
  whisper_.norm(y);
  return y;
}

Tensor WhisperSound::stacked(Workspace& ws, Tensor x, std::int64_t n, int k, bool fill) const {
  const std::int64_t windows = x.rows / n, groups = fill ? (n + k - 1) / k : n / k, d = x.cols;
  if (n % k == 0) return x.reshaped(windows * groups, k * d);
  const Tensor y = ws.tensor(windows * groups, k * d), rows = y.reshaped(y.rows * k, d);
  const std::int64_t kept = std::min(n, groups * k);
  const std::vector<float> zeros(static_cast<std::size_t>(d));
  for (std::int64_t i = 0; i < windows; ++i) {
    device_.copy(rows.rows_at(i * groups * k, kept), x.rows_at(i * n, kept));
    for (std::int64_t r = kept; r < groups * k; ++r) place_row(device_, rows.rows_at(i * groups * k + r, 1), zeros);
  }
  return y;
}

int WhisperSound::stack_factor() const {
  return require_in(metadata_, "clip.audio.projector.stack_factor", 1, Whisper::kRows / 2);
}

Qwen2Sound::Qwen2Sound(std::string_view type, const gguf::File& file, Device& device)
    : WhisperSound(type, file, device, {"<|audio_bos|>", "<|audio_eos|>"}) {
  text_width_ = static_cast<int>(matrix_rows(weights_, "mm.a.fc.weight"));
  fc_ = weights_.matrix("mm.a.fc.weight", text_width_, hparams_.n_embd);
  bias_ = weights_.vector_if("mm.a.fc.bias", text_width_);
  window_tokens_ = Whisper::kRows / 2;
}

void Qwen2Sound::project(Tensor y, Tensor x, Workspace& ws) const {
  device_.matmul(y, fc_, pooled(ws, x), {.bias = bias_});
}

AudioPresets Qwen2Sound::trained_prompts() const {
  AudioPresets presets;
  presets.transcribe_prompt = "Transcribe the {language}audio into text.", presets.with_language = "{name} ";
  return presets;
}

}  // namespace mtmd::encoders
