// A recorded answer of a language model (NAME.golden.gguf), and what this build answers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/decoder/decoder.h"

namespace mtmd::conformance {

/// Matrices are [rows, n_vocab] unless stated otherwise; empty when not recorded.
struct TextGolden {
  std::string name;  ///< file name without ".golden.gguf"
  std::string prompt;
  bool add_special = false, parse_special = false;
  std::vector<std::int32_t> tokens, greedy, end_of_generation;
  float min_margin = 0;  ///< smallest lead of a greedy token over its runner-up
  std::int32_t n_ctx = 0, n_vocab = 0;
  std::vector<float> logits;         ///< one row per token
  std::vector<float> logits_f32;     ///< the same with activations kept in f32 (quantised models)
  std::vector<float> greedy_logits;  ///< row i chose greedy[i]; row 0 repeats the prompt's last
  bool quantised = false;
  // A grid of embeddings ("image") after the first embd_at tokens.
  std::int32_t embd_at = -1, grid_rows = 0, grid_cols = 0;
  std::vector<float> embd;  ///< [grid_rows * grid_cols, width]
  std::vector<float> embd_logits;

  bool has_grid() const noexcept { return embd_at >= 0; }
  std::int64_t n_embeddings() const noexcept { return std::int64_t{grid_rows} * grid_cols; }
};

/// Throws Error when something is missing or contradicts the rest.
TextGolden read_text_golden(const std::filesystem::path& path);
/// The model that a golden is about: NAME.gguf, or that without the last part of NAME ("qwen2vl.grid"); nothing when it
/// is not beside the golden.
std::optional<std::filesystem::path> model_of(const std::filesystem::path& golden);

/// How the prompt is fed and what the cache stores.
struct TextRun {
  DType cache = DType::F32;
  std::int32_t n_ubatch = 512;
  std::vector<std::int32_t> pieces = {};  ///< rows per call, the last one repeated; empty: everything in one call
};

struct TextAnswer {
  std::vector<float> logits, embd_logits, greedy_logits;
  std::vector<std::int32_t> greedy;  ///< argmax of each row of greedy_logits; greedy_logits follow from these tokens
};

TextAnswer answer(decoder::Decoder& model, Device& device, const TextGolden& golden, const TextRun& run);

/// Of all rows: worst absolute difference, root mean square difference, worst KL divergence of the softmaxes (nats).
/// Anything that is not a number makes them infinite.
struct Difference {
  double worst = 0, rms = 0, kl = 0;
};
Difference compare(const std::vector<float>& want, const std::vector<float>& got, std::int64_t n_vocab);

/// Largest differences that pass; rms 0: not asked.
struct Gate {
  double worst, rms, kl;
  bool passes(const Difference& d) const noexcept {
    return d.worst <= worst && d.kl <= kl && (rms == 0 || d.rms <= rms);
  }
};

/// What the weights of the layers are stored in: decides how the reference rounds activations.
enum class WeightClass { f32, gelu_table, f16, bf16, quantised };
WeightClass weight_class(const gguf::File& model);
/// The tolerances of conformance/README.md; those for a q8_0 cache are ours.
Gate gate(WeightClass weights, DType cache);

/// Compares greedy tokens: all of them when `exact`, else up to the first step whose margin is below 2 * `difference`.
/// Nothing when equal, else the first step that differs.
std::optional<std::size_t> first_greedy_mismatch(const TextGolden& golden, const TextAnswer& got, bool exact,
                                                 double difference);

}  // namespace mtmd::conformance
