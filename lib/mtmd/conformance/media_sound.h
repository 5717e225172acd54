// Recorded sound: decoded files, spectrograms, what a case's recordings are.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "encoders/audio/mel.h"
#include "mtmd/conformance/conformance.h"
#include "mtmd/conformance/media_recording.h"

namespace mtmd::conformance {

/// A recording of the kit, decoded and resampled to audio::kRate with the reference's conventions.
struct KitSound {
  std::vector<float> samples;
  bool resampled = false;  ///< the file has another rate
  bool lossy = false;      ///< MP3: another decoder rounds otherwise
};
KitSound read_sound(std::span<const std::byte> bytes, const std::string& name);
/// The reference's own samples of an input, where decode.golden.gguf in `root` holds them. Throws BadRecording.
std::optional<std::vector<float>> recorded_sound(const std::filesystem::path& root, const std::string& name);

/// Compares one file of golden.files whose kind is "pcm" (inputs in `root`/inputs).
void run_decoded_sound(const std::filesystem::path& root, const nlohmann::json& entry, const Sink& sink);
/// mel_*.golden.gguf and frames_*.golden.gguf: the front ends alone.
void run_spectrum(const std::filesystem::path& golden, const Sink& sink);

/// Largest difference from recorded values: `want` holds the first `kept` frames of every band, frames behind them are
/// `tail`.
double mel_difference(const audio::Mel& got, std::span<const float> want, int kept, float tail);

}  // namespace mtmd::conformance
