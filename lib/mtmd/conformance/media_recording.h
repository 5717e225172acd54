// One recorded media case (conformance/media/README.md, "Layout"), read back from its golden file.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "encoders/image/image.h"
#include "engine/gguf/gguf.h"
#include "mtmd/conformance/conformance.h"

namespace mtmd::conformance {

/// Something recorded is missing or has the wrong form: the case fails.
struct BadRecording {
  std::string what;
};

struct RecordedChunk {
  bool media = false;
  std::string type;                  ///< "text", "image", "audio"
  std::vector<std::int32_t> tokens;  ///< of text
  int pos_start = 0;
  int embd = -1, n_tokens = 0, n_pos = 0;
  int pre_nx = 0, pre_ny = 0, pre_n = 0;
  int pre_kept = 0;    ///< of sound: frames that the recorded tensor holds …
  float pre_tail = 0;  ///< … and the value of all behind them
  int nx = 0, ny = 0;
  bool non_causal = false;
  std::string id;
  std::array<std::vector<std::int32_t>, 4> pos;  ///< t, y, x, z per token; empty without M-RoPE
};

struct Recording {
  std::string prompt;
  std::vector<std::string> media;
  std::vector<RecordedChunk> chunks;
  std::vector<std::int32_t> greedy;
  std::vector<float> greedy_margin;
  std::optional<std::int32_t> image_min_tokens, image_max_tokens;
  bool mergeable = false, mrope = false;
  int n_embd = 0, n_past = 0, n_tokens = 0;
};

/// Throws BadRecording.
Recording read_recording(const gguf::File& golden);

/// A recorded f32 tensor of exactly `n` values. Throws BadRecording.
std::vector<float> recorded_floats(const gguf::File& golden, const std::string& name, std::size_t n);
/// A recorded picture (I8 holding u8, [height, width, 3]); nothing when there is none. Throws BadRecording.
std::optional<image::Image> recorded_picture(const gguf::File& golden, const std::string& name);

std::uint64_t fnv1a64(std::span<const std::uint8_t> bytes);

/// Fills in the outcome: `difference` above `tolerance` (or not a number) fails, with `detail`.
void judge(Result& result, double difference, double tolerance, std::string detail);

}  // namespace mtmd::conformance
