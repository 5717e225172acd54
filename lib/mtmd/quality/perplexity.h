// The measurements of `mtmd perplexity`: a model against a text, and against another model.
#pragma once

#include <functional>

#include "mtmd/quality/logits_file.h"
#include "mtmd/quality/statistics.h"
#include "mtmd/quality/windows.h"

namespace mtmd::quality {

/// After each window: how many are done. Returning false ends the measurement early, with what there is.
using OnWindow = std::function<bool(std::int32_t done, std::int32_t total)>;

/// Perplexity of the second halves of all windows. `running`: called after each window with the estimate so far;
/// `save`: where the log probabilities go, too, or null.
Likelihood measure_perplexity(const gguf::File& model, Device& device, const Windows& windows,
                              const ReaderOptions& options, LogitsWriter* save,
                              const std::function<bool(std::int32_t done, const Likelihood& so_far)>& running);

/// Against recorded log probabilities. Throws Error(input) when they are of another vocabulary.
Divergence measure_divergence(const gguf::File& model, Device& device, const Windows& windows,
                              const ReaderOptions& options, const LogitsFile& base, const OnWindow& on_window);
/// Against a second model that reads along. Throws Error(usage) when its vocabulary is another one.
Divergence measure_divergence(const gguf::File& model, Device& device, const Windows& windows,
                              const ReaderOptions& options, const gguf::File& base, const OnWindow& on_window);

/// Throws Error(usage), naming both, unless the two models have the same tokens: only then can they be compared.
void require_same_vocabulary(const gguf::File& a, const gguf::File& b);

}  // namespace mtmd::quality
