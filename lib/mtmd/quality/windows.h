// A text as the windows that llama-perplexity and llama-imatrix cut it into, and a model that reads them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/decoder/decoder.h"
#include "engine/kv/cache.h"
#include "engine/tokenizer/tokenizer.h"

namespace mtmd::quality {

struct WindowOptions {
  std::int32_t n_ctx = 512;    ///< tokens per window, at least 2
  std::int32_t max = -1;       ///< at most so many windows; negative: all
  std::int32_t first = 0;      ///< windows to leave out at the beginning
  bool parse_special = false;  ///< recognise control tokens in the text
};

/// Consecutive windows of n_ctx tokens; what is left at the end is not used. Where the vocabulary asks for BOS, it
/// replaces the first token of every window while the model reads (and is not what the window is scored against).
class Windows {
 public:
  Windows() = default;
  /// Throws Error(input), saying how many there are, when the text has fewer than `least` windows' tokens.
  Windows(std::string_view text, const Tokenizer& tokenizer, const WindowOptions& options, std::int32_t least = 1);
  /// Of tokens cut earlier (a recorded file): `tokens` is a multiple of n_ctx.
  Windows(std::vector<Token> tokens, std::int32_t n_ctx, const Tokenizer& tokenizer);

  std::int32_t size() const noexcept { return n_; }
  std::int32_t n_ctx() const noexcept { return n_ctx_; }
  std::span<const Token> tokens() const noexcept { return tokens_; }  ///< all windows, as in the text
  std::span<const Token> original(std::int32_t i) const noexcept {
    return tokens().subspan(static_cast<std::size_t>(i) * static_cast<std::size_t>(n_ctx_),
                            static_cast<std::size_t>(n_ctx_));
  }
  std::vector<Token> input(std::int32_t i) const;  ///< with BOS
  /// Tokens of a window that are scored: the second half but for its last one, which has no successor.
  std::int32_t first_scored() const noexcept { return n_ctx_ / 2; }
  std::int32_t n_scored() const noexcept { return n_ctx_ - 1 - first_scored(); }

 private:
  std::vector<Token> tokens_;
  std::int32_t n_ = 0, n_ctx_ = 0;
  Token bos_ = -1;
};

struct ReaderOptions {
  std::int32_t n_ctx = 512;
  std::int32_t n_batch = 2048, n_ubatch = 512;  ///< tokens given to the model, and computed, at once
  DType kv_type = DType::F16;
};

/// Runs windows through a model, each on its own.
class WindowReader {
 public:
  /// Both must outlive the reader. Throws what Decoder and Cache throw.
  WindowReader(const gguf::File& model, Device& device, const ReaderOptions& options);

  /// logits: [rows, n_vocab] of the window's rows `first_row` …, valid during the call.
  using OnLogits = std::function<void(Tensor logits, std::int32_t first_row)>;
  /// Reads a window and hands over the logits of rows [first, size - 1), in pieces. `whole`: every row goes through
  /// every layer, also those whose logits nobody wants. False when `stopped` said so between two batches.
  bool read(std::span<const Token> window, std::int32_t first, bool whole, const OnLogits& on_logits,
            const std::function<bool()>& stopped);

  decoder::Decoder& decoder() noexcept { return decoder_; }
  kv::Cache& cache() noexcept { return cache_; }

 private:
  ReaderOptions options_;
  decoder::Decoder decoder_;
  kv::Cache cache_;
};

}  // namespace mtmd::quality
