// llama-perplexity's --kl-divergence-base files: the log probabilities of a model, 16 bits each.
// "_logits_", int32 n_ctx, n_vocab, windows; the windows' tokens (int32); then per scored token: f32 scale, f32 lowest,
// n_vocab codes (uint16, padded to an even number): ln p = scale * code + lowest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "engine/base/mapped_file.h"
#include "engine/base/output_file.h"
#include "mtmd/quality/statistics.h"
#include "mtmd/quality/windows.h"

namespace mtmd::quality {

class LogitsWriter {
 public:
  /// The file appears with commit(). Throws Error(output).
  LogitsWriter(const std::filesystem::path& path, const Windows& windows, std::int32_t n_vocab);
  /// Rows in order: logits [rows, n_vocab].
  void add(Tensor logits, ThreadPool& pool);
  void commit();

 private:
  OutputFile file_;
  std::int32_t n_vocab_;
  std::vector<std::uint16_t> rows_;
};

class LogitsFile {
 public:
  /// Throws Error(input) for what is no such file, is cut short, or holds tokens outside its vocabulary.
  explicit LogitsFile(const std::filesystem::path& path);
  std::int32_t n_ctx() const noexcept { return n_ctx_; }
  std::int32_t n_vocab() const noexcept { return n_vocab_; }
  std::vector<Token> tokens() const;
  /// Scored token `row` of a window. The view lives as long as this object. Throws Error(input) for a scale that is not
  /// finite.
  RoundedRow row(std::int32_t window, std::int32_t row) const;

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::int32_t n_ctx_ = 0, n_vocab_ = 0, windows_ = 0;
  std::span<const std::byte> tokens_, rows_;
};

}  // namespace mtmd::quality
