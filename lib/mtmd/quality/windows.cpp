#include "mtmd/quality/windows.h"

#include <algorithm>

#include "engine/base/error.h"

namespace mtmd::quality {
namespace {

constexpr std::int64_t kLogitBytes = std::int64_t{320} << 20;  ///< of one batch
constexpr std::int64_t kFewestRows = 64;                       ///< below that, products become slow

Token bos_of(const Tokenizer& tokenizer) { return tokenizer.adds_bos() ? tokenizer.bos() : -1; }

}  // namespace

Windows::Windows(std::string_view text, const Tokenizer& tokenizer, const WindowOptions& o, std::int32_t least)
    : n_ctx_(o.n_ctx), bos_(bos_of(tokenizer)) {
  if (o.n_ctx < 2) fail(ErrorCategory::usage, "windows of {} tokens (-c), expected 2 or more", o.n_ctx);
  tokens_ = tokenizer.encode(text, {.add_special = true, .parse_special = o.parse_special});
  if (std::ssize(tokens_) < std::int64_t{least} * n_ctx_)
    fail(ErrorCategory::input,
         "the text has {} tokens, but {} windows of {} (-c) need {}: give more text or a smaller -c", tokens_.size(),
         least, n_ctx_, std::int64_t{least} * n_ctx_);
  const std::int64_t all = std::ssize(tokens_) / n_ctx_;
  const std::int64_t first = std::max(0, o.first);
  if (first >= all)
    fail(ErrorCategory::usage, "the text has {} windows of {} tokens, {} of them are to be left out", all, n_ctx_,
         first);
  tokens_.erase(tokens_.begin(), tokens_.begin() + first * n_ctx_);
  const std::int64_t n = o.max < 0 ? all - first : std::min<std::int64_t>(o.max, all - first);
  n_ = static_cast<std::int32_t>(std::min<std::int64_t>(n, INT32_MAX));
  tokens_.resize(static_cast<std::size_t>(n_) * static_cast<std::size_t>(n_ctx_));
}

Windows::Windows(std::vector<Token> tokens, std::int32_t n_ctx, const Tokenizer& tokenizer)
    : tokens_(std::move(tokens)),
      n_(static_cast<std::int32_t>(std::ssize(tokens_) / n_ctx)),
      n_ctx_(n_ctx),
      bos_(bos_of(tokenizer)) {}

std::vector<Token> Windows::input(std::int32_t i) const {
  const auto window = original(i);
  std::vector<Token> tokens(window.begin(), window.end());
  if (bos_ >= 0) tokens[0] = bos_;
  return tokens;
}

WindowReader::WindowReader(const gguf::File& model, Device& device, const ReaderOptions& o)
    : options_(o),
      decoder_(model, device, {.n_ctx = o.n_ctx, .n_ubatch = std::min(o.n_ubatch, std::max(1, o.n_ctx))}),
      cache_(device, decoder_.kv_layers(), {.type = o.kv_type, .n_ctx = o.n_ctx}) {}

bool WindowReader::read(std::span<const Token> window, std::int32_t first, bool whole, const OnLogits& on_logits,
                        const std::function<bool()>& stopped) {
  const auto n = static_cast<std::int32_t>(window.size());
  const std::int64_t row_bytes = std::int64_t{decoder_.spec().n_vocab} * 4;
  const auto most =
      static_cast<std::int32_t>(std::clamp<std::int64_t>(kLogitBytes / row_bytes, kFewestRows, INT32_MAX));
  cache_.clear(0);
  decoder::Batch batch;
  for (std::int32_t begin = 0, end = 0; begin < n; begin = end) {
    if (stopped && stopped()) return false;
    const bool scored = begin >= first;
    end = std::min(n, begin + std::max(1, scored || whole ? std::min(options_.n_batch, most) : options_.n_batch));
    if (!scored && !whole) end = std::min(end, first);
    batch.clear();
    batch.add_text(0, window.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)), begin,
                   false);
    if (scored || whole) batch.want_logits.assign(batch.want_logits.size(), true);
    const Tensor logits = decoder_.forward(batch, cache_);
    const std::int32_t from = std::max(begin, first), to = std::min(end, n - 1);
    if (on_logits && from < to) on_logits(logits.rows_at(from - begin, to - from), from);
  }
  return true;
}

}  // namespace mtmd::quality
