#include "mtmd/quality/perplexity.h"

#include <algorithm>

#include "engine/base/error.h"

namespace mtmd::quality {
namespace {

std::span<const float> row_of(Tensor t, std::int64_t r) { return {t.row(r), static_cast<std::size_t>(t.cols)}; }

/// The token that follows row `r` of a window.
Token next_of(std::span<const Token> window, std::int64_t r) { return window[static_cast<std::size_t>(r) + 1]; }

}  // namespace

Likelihood measure_perplexity(const gguf::File& model, Device& device, const Windows& windows,
                              const ReaderOptions& options, LogitsWriter* save,
                              const std::function<bool(std::int32_t, const Likelihood&)>& running) {
  WindowReader reader(model, device, options);
  ThreadPool pool(device.info().threads);
  Likelihood likelihood;
  std::vector<double> nll;
  bool go_on = true;
  for (std::int32_t w = 0; w < windows.size() && go_on; ++w) {
    const auto original = windows.original(w);
    const auto score = [&](Tensor logits, std::int32_t first) {
      nll.resize(static_cast<std::size_t>(logits.rows));
      pool.parallel_for(logits.rows, [&](std::int64_t r) {
        nll[static_cast<std::size_t>(r)] = nll_of(row_of(logits, r), next_of(original, first + r));
      });
      for (const double v : nll) likelihood.add(v);
      if (save) save->add(logits, pool);
    };
    reader.read(windows.input(w), windows.first_scored(), false, score, {});
    go_on = !running || running(w + 1, likelihood);
  }
  return likelihood;
}

Divergence measure_divergence(const gguf::File& model, Device& device, const Windows& windows,
                              const ReaderOptions& options, const LogitsFile& base, const OnWindow& on_window) {
  WindowReader reader(model, device, options);
  if (reader.decoder().spec().n_vocab != base.n_vocab())
    fail(ErrorCategory::input,
         "the recorded log probabilities are over a vocabulary of {}, the model's has {}: they are of another model",
         base.n_vocab(), reader.decoder().spec().n_vocab);
  ThreadPool pool(device.info().threads);
  Divergence result;
  std::vector<TokenDivergence> tokens;
  bool go_on = true;
  for (std::int32_t w = 0; w < windows.size() && go_on; ++w) {
    const auto original = windows.original(w);
    const auto score = [&](Tensor logits, std::int32_t first) {
      tokens.resize(static_cast<std::size_t>(logits.rows));
      pool.parallel_for(logits.rows, [&](std::int64_t r) {
        const RoundedRow row = base.row(w, first - windows.first_scored() + static_cast<std::int32_t>(r));
        tokens[static_cast<std::size_t>(r)] = divergence(row_of(logits, r), row, next_of(original, first + r));
      });
      for (const TokenDivergence& t : tokens) result.add(t);
    };
    reader.read(windows.input(w), windows.first_scored(), false, score, {});
    go_on = !on_window || on_window(w + 1, windows.size());
  }
  return result;
}

Divergence measure_divergence(const gguf::File& model, Device& device, const Windows& windows,
                              const ReaderOptions& options, const gguf::File& base, const OnWindow& on_window) {
  require_same_vocabulary(model, base);
  WindowReader reader(model, device, options), base_reader(base, device, options);
  ThreadPool pool(device.info().threads);
  Divergence result;
  std::vector<TokenDivergence> tokens;
  std::vector<float> kept;  // the base's logits of one window
  bool go_on = true;
  for (std::int32_t w = 0; w < windows.size() && go_on; ++w) {
    const auto original = windows.original(w);
    const auto input = windows.input(w);
    kept.clear();
    base_reader.read(
        input, windows.first_scored(), false,
        [&](Tensor logits, std::int32_t) { kept.insert(kept.end(), logits.data, logits.data + logits.size()); }, {});
    const auto score = [&](Tensor logits, std::int32_t first) {
      tokens.resize(static_cast<std::size_t>(logits.rows));
      const Tensor theirs(kept.data() + (first - windows.first_scored()) * logits.cols, logits.rows, logits.cols);
      pool.parallel_for(logits.rows, [&](std::int64_t r) {
        tokens[static_cast<std::size_t>(r)] =
            divergence(row_of(logits, r), row_of(theirs, r), next_of(original, first + r));
      });
      for (const TokenDivergence& t : tokens) result.add(t);
    };
    reader.read(input, windows.first_scored(), false, score, {});
    go_on = !on_window || on_window(w + 1, windows.size());
  }
  return result;
}

void require_same_vocabulary(const gguf::File& a, const gguf::File& b) {
  constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
  const auto x = a.metadata().get_or<std::vector<std::string_view>>(kTokens, {});
  const auto y = b.metadata().get_or<std::vector<std::string_view>>(kTokens, {});
  if (x == y) return;
  const auto at = std::ranges::mismatch(x, y).in1 - x.begin();
  fail(ErrorCategory::usage,
       "{} ({} tokens) and {} ({}) have different vocabularies (token {} differs): their answers "
       "cannot be compared",
       a.metadata().file(), x.size(), b.metadata().file(), y.size(), at);
}

}  // namespace mtmd::quality
