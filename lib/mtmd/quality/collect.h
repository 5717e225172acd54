// Making an importance matrix: a model reads texts and pictures while its inputs are watched.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "mtmd/model.h"
#include "mtmd/prompt.h"
#include "mtmd/quality/imatrix.h"
#include "mtmd/quality/observing_device.h"
#include "mtmd/quality/statistics.h"
#include "mtmd/quality/windows.h"

namespace mtmd::quality {

struct CollectOptions {
  ReaderOptions reader;
  ObserveOptions observe;
  bool perplexity = true;  ///< score the texts, too
};

/// Not thread-safe.
class Collector {
 public:
  explicit Collector(std::shared_ptr<const Model> model, const CollectOptions& options);
  ~Collector();

  /// One window of text is one chunk. Every token goes through every layer, as in llama-imatrix.
  void read(const Windows& windows, std::int32_t index);
  /// A prompt with pictures through the vision encoder and the decoder: one chunk. The encoder is not watched. Throws
  /// Error(usage) when the model has no encoder, Error(resource) when the prompt is longer than the model's context.
  void read(const Prompt& prompt, const encoders::ImageLimits& limits);

  /// What was seen since construction; chunk_size is the window's. Throws Error(failed) when an input was not finite.
  ImportanceMatrix matrix() const;
  std::uint32_t chunks() const noexcept { return chunks_; }
  const Likelihood& likelihood() const noexcept { return likelihood_; }  ///< of the texts; empty when not asked for

 private:
  std::shared_ptr<const Model> model_;
  CollectOptions options_;
  ObservingDevice device_;
  std::unique_ptr<WindowReader> reader_;
  std::unique_ptr<ThreadPool> pool_;  ///< for the scores
  Likelihood likelihood_;
  std::uint32_t chunks_ = 0;
};

}  // namespace mtmd::quality
