#include "mtmd/quality/logits_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/checked.h"
#include "engine/base/error.h"

namespace mtmd::quality {
namespace {

constexpr std::string_view kMagic = "_logits_";
constexpr float kRange = 16.0f;  ///< logits further below the highest become the lowest code

std::size_t codes_per_row(std::int32_t n_vocab) { return 2 * ((static_cast<std::size_t>(n_vocab) + 1) / 2) + 4; }

void round_row(std::span<const float> logits, std::uint16_t* out) {
  const auto [low, high] = std::ranges::minmax(logits);
  const float lowest = std::max(low, high - kRange);
  double sum = 0;
  for (const float v : logits) sum += static_cast<double>(std::exp(v - high));
  const auto log_sum = static_cast<float>(std::log(sum));
  const float head[2] = {(high - lowest) / 65535.0f, lowest - high - log_sum};
  std::memcpy(out, head, sizeof head);
  const float inverse = head[0] > 0 ? 1.0f / head[0] : 0.0f;
  for (std::size_t i = 0; i < logits.size(); ++i)
    out[4 + i] = logits[i] > lowest
                     ? static_cast<std::uint16_t>(std::min(65535.0f, std::nearbyint(inverse * (logits[i] - lowest))))
                     : std::uint16_t{0};
}

}  // namespace

LogitsWriter::LogitsWriter(const std::filesystem::path& path, const Windows& windows, std::int32_t n_vocab)
    : file_(path), n_vocab_(n_vocab) {
  file_.write(std::as_bytes(std::span(kMagic)));
  for (const std::int32_t v : {windows.n_ctx(), n_vocab, windows.size()}) file_.write(std::as_bytes(std::span(&v, 1)));
  file_.write(std::as_bytes(windows.tokens()));
}

void LogitsWriter::add(Tensor logits, ThreadPool& pool) {
  const std::size_t n = codes_per_row(n_vocab_);
  rows_.assign(n * static_cast<std::size_t>(logits.rows), 0);
  pool.parallel_for(logits.rows, [&](std::int64_t r) {
    round_row({logits.row(r), static_cast<std::size_t>(logits.cols)}, rows_.data() + n * static_cast<std::size_t>(r));
  });
  file_.write(std::as_bytes(std::span(rows_)));
}

void LogitsWriter::commit() { file_.commit(); }

LogitsFile::LogitsFile(const std::filesystem::path& path) : path_(path), file_(path) {
  const auto bytes = file_.bytes();
  constexpr std::size_t kHead = 8 + 3 * 4;
  if (bytes.size() < kHead || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    fail(ErrorCategory::input, "{}: is no file of log probabilities (--kl-divergence-base)", path.string());
  std::int32_t head[3];
  std::memcpy(head, bytes.data() + 8, sizeof head);
  n_ctx_ = head[0], n_vocab_ = head[1], windows_ = head[2];
  if (n_ctx_ < 2 || n_vocab_ < 1 || windows_ < 1)
    fail(ErrorCategory::input, "{}: {} windows of {} tokens, {} in the vocabulary, cannot be", path.string(), windows_,
         n_ctx_, n_vocab_);
  const auto n = static_cast<std::uint64_t>(windows_);
  const std::uint64_t scored = static_cast<std::uint64_t>(n_ctx_ - 1 - n_ctx_ / 2);
  const auto tokens = checked_mul(n * static_cast<std::uint64_t>(n_ctx_), std::uint64_t{4});
  const auto rows = checked_mul(n * scored, std::uint64_t{2} * codes_per_row(n_vocab_));
  const std::uint64_t left = bytes.size() - kHead;
  if (!tokens || !rows || *tokens > left || *rows > left - *tokens)
    fail(ErrorCategory::input,
         "{}: {} windows of {} tokens over a vocabulary of {} do not fit into {} bytes: it is cut short", path.string(),
         windows_, n_ctx_, n_vocab_, bytes.size());
  tokens_ = bytes.subspan(kHead, static_cast<std::size_t>(*tokens));
  rows_ = bytes.subspan(kHead + tokens_.size(), static_cast<std::size_t>(*rows));
  for (const Token t : this->tokens())
    if (t < 0 || t >= n_vocab_)
      fail(ErrorCategory::input, "{}: token {} in a vocabulary of {}", path.string(), t, n_vocab_);
}

std::vector<Token> LogitsFile::tokens() const {
  std::vector<Token> t(tokens_.size() / sizeof(Token));
  std::memcpy(t.data(), tokens_.data(), tokens_.size());
  return t;
}

RoundedRow LogitsFile::row(std::int32_t window, std::int32_t row) const {
  const std::size_t n = codes_per_row(n_vocab_);
  const auto scored = static_cast<std::size_t>(n_ctx_ - 1 - n_ctx_ / 2);
  // 20 bytes of head and whole words: the codes lie at even addresses of a page-aligned mapping.
  const auto* at = reinterpret_cast<const std::uint16_t*>(rows_.data()) +
                   (static_cast<std::size_t>(window) * scored + static_cast<std::size_t>(row)) * n;
  float head[2];
  std::memcpy(head, at, sizeof head);
  if (!std::isfinite(head[0]) || !std::isfinite(head[1]) || head[0] < 0)
    fail(ErrorCategory::input, "{}: window {}, row {}: scale {} and lowest value {} are not valid", path_.string(),
         window, row, head[0], head[1]);
  return {head[0], head[1], {at + 4, static_cast<std::size_t>(n_vocab_)}};
}

}  // namespace mtmd::quality
