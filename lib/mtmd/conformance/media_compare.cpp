#include "mtmd/conformance/media_compare.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"

namespace mtmd::conformance {
namespace {

constexpr double kRounding = 1e-3;  ///< levels that come and go with the normalisation
constexpr double kNearTies = 1.0 / 2000;

template <class A, class B>
std::string differ(const char* what, const A& got, const B& want) {
  return fmt::format("{} is {}, recorded {}", what, got, want);
}

std::string text_difference(const Chunk& got, const RecordedChunk& want) {
  for (std::size_t i = 0; i < want.tokens.size(); ++i) {
    if (got.tokens[i] != want.tokens[i]) return differ("a token", got.tokens[i], want.tokens[i]);
  }
  return "";
}

std::string input_difference(const encoders::AudioInput& input, const RecordedChunk& want) {
  if (input.mel.frames == want.pre_nx && input.mel.bands == want.pre_ny && want.pre_n == 1) return "";
  return fmt::format("the input has {} frames of {} bands, recorded {} of {}", input.mel.frames, input.mel.bands,
                     want.pre_nx, want.pre_ny);
}

std::string input_difference(const encoders::Input& input, const RecordedChunk& want) {
  const image::Planes& frame = input.frames.front();
  if (frame.width != want.pre_nx || frame.height != want.pre_ny) {
    return fmt::format("the input is {} x {}, recorded {} x {}", frame.width, frame.height, want.pre_nx, want.pre_ny);
  }
  if (static_cast<int>(input.frames.size()) != want.pre_n) return differ("pre_n", input.frames.size(), want.pre_n);
  return "";
}

std::string media_difference(const Chunk& got, const Chunks& all, const std::string& id, const RecordedChunk& want) {
  if (id != want.id) return differ("the file's SHA-256", id, want.id);
  const auto index = static_cast<std::size_t>(got.input);
  const std::string input =
      got.sound ? input_difference(all.sounds[index], want) : input_difference(all.inputs[index], want);
  if (!input.empty()) return input;
  if (got.nx != want.nx || got.ny != want.ny) {
    return fmt::format("the grid is {} x {}, recorded {} x {}", got.nx, got.ny, want.nx, want.ny);
  }
  if (got.non_causal != want.non_causal) return differ("non_causal", got.non_causal, want.non_causal);
  if (want.pos[0].empty()) return "";
  const std::vector<Position> positions = got.positions();
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const std::array axes = {positions[i].t, positions[i].y, positions[i].x, positions[i].z};
    // Of sound the recording lists 0 for z, but its logits are those of z = t.
    const std::size_t n_axes = got.sound ? 3 : axes.size();
    for (std::size_t a = 0; a < n_axes; ++a) {
      if (axes[a] != want.pos[a][i]) return differ("a position", axes[a], want.pos[a][i]);
    }
  }
  return "";
}

std::string chunk_difference(const Chunk& got, const Chunks& all, const Prompt& prompt, const RecordedChunk& want) {
  if (got.is_media() != want.media) return "text and media alternate otherwise";
  if (got.pos_start != want.pos_start) return differ("pos_start", got.pos_start, want.pos_start);
  if (got.n_tokens != want.n_tokens) return differ("n_tokens", got.n_tokens, want.n_tokens);
  if (got.n_pos != want.n_pos) return differ("n_pos", got.n_pos, want.n_pos);
  if (!want.media) return text_difference(got, want);
  if (got.sound != (want.type == "audio")) return differ("the type", got.sound ? "audio" : "image", want.type);
  return media_difference(got, all, prompt.media()[static_cast<std::size_t>(got.media)].id, want);
}

}  // namespace

Gates gates_for(const std::string& folder) {
  Gates g;
  if (folder.ends_with("-bf16"))
    g.embd = 6e-3, g.one_minus_cos = 4e-5;  // half of embd squared, doubled for single tokens
  g.mel = mel_tolerance(folder);
  if (folder.ends_with("-q8_0")) g.embd = 3e-2, g.one_minus_cos = 1e-3, g.logits = 0.3;
  return g;
}

Gates loosened_for_jpeg(Gates g) {
  g.pre = 4, g.pre_levels = true;
  g.embd = std::max(g.embd, 2e-2), g.one_minus_cos = 1;
  g.logits = std::max(g.logits, 0.2), g.margin = 0.4;
  return g;
}

double mel_tolerance(std::string_view type) {
  for (const std::string_view loose : {"lfm2a", "conformer", "gemma4a"})
    if (type.starts_with(loose)) return 1e-3;
  return 2e-4;
}

void compare_chunks(Result& result, const Chunks& got, const Prompt& prompt, const Recording& want) {
  if (got.list.size() != want.chunks.size()) {
    return judge(result, 1, 0, fmt::format("{} chunks, recorded {}", got.list.size(), want.chunks.size()));
  }
  for (std::size_t i = 0; i < got.list.size(); ++i) {
    const std::string difference = chunk_difference(got.list[i], got, prompt, want.chunks[i]);
    if (!difference.empty()) return judge(result, 1, 0, fmt::format("chunk {}: {}", i, difference));
  }
  if (got.n_tokens != want.n_tokens) return judge(result, 1, 0, differ("n_tokens", got.n_tokens, want.n_tokens));
  if (got.n_pos != want.n_past) return judge(result, 1, 0, differ("n_past", got.n_pos, want.n_past));
  judge(result, 0, 0, "");
}

void PixelComparison::add(const encoders::Input& got, std::span<const float> want) {
  std::size_t i = 0;
  for (const image::Planes& frame : got.frames) {
    for (std::size_t k = 0; k < frame.rgb.size(); ++k, ++i) {
      double d = std::fabs(static_cast<double>(frame.rgb[k]) - want[i]);
      const double levels = d * 255.0 * std_[k % 3];
      if (gates_.pre_levels) d = levels;
      if (!gates_.pre_levels && d > gates_.pre && std::fabs(levels - 1) < kRounding) {
        ++near_ties_;
      } else if (std::isnan(d) || d > most_) {
        most_ = d;  // a NaN stays
      }
      sum_ += d;
    }
  }
  n_ += i;
}

void PixelComparison::judge(Result& result) const {
  if (near_ties_ > 0) result.detail = fmt::format("{} of {} values one level off (near-ties)", near_ties_, n_);
  conformance::judge(result, most_, gates_.pre + (gates_.pre_levels ? kRounding : 0), "a value differs too much");
  if (static_cast<double>(near_ties_) > kNearTies * static_cast<double>(n_)) result.outcome = Outcome::failed;
  const double mean = sum_ / static_cast<double>(std::max<std::size_t>(1, n_));
  if (gates_.pre_levels && !(mean < 0.1)) {
    result.outcome = Outcome::failed, result.detail = fmt::format("{:.3f} levels apart on average", mean);
  }
}

void compare_embeddings(Result& result, std::span<const float> got, std::span<const float> want, std::size_t width,
                        const Gates& gates) {
  double error = 0, size = 0, worst = 0;
  std::size_t worst_token = 0;
  for (std::size_t row = 0; row * width < want.size(); ++row) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = row * width; i < (row + 1) * width; ++i) {
      const double a = got[i], b = want[i];
      ab += a * b, aa += a * a, bb += b * b;
      error += (a - b) * (a - b), size += b * b;
    }
    const double apart = 1.0 - ab / std::sqrt(aa * bb);
    if (std::isnan(apart) || apart > worst) worst = apart, worst_token = row;
  }
  const double l2 = std::sqrt(error / size);
  if (result.outcome != Outcome::passed) return;
  judge(result, std::isnan(l2) ? l2 : std::max(result.difference, l2), gates.embd, "relative L2 distance too large");
  if (result.outcome == Outcome::passed && !(worst <= gates.one_minus_cos)) {
    result.outcome = Outcome::failed;
    result.detail =
        fmt::format("token {}: 1 - cosine is {:.2g}, at most {:.2g} expected", worst_token, worst, gates.one_minus_cos);
  }
}

void compare_logits(Result& result, std::span<const float> got, std::span<const float> want, const Gates& gates) {
  double most = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double d = std::fabs(static_cast<double>(got[i]) - want[i]);
    if (std::isnan(d) || d > most) most = d, at = i;  // a NaN stays
  }
  judge(result, most, gates.logits, fmt::format("logit {} is {}, recorded {}", at, got[at], want[at]));
}

}  // namespace mtmd::conformance
