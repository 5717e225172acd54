#include "mtmd/quality/collect.h"

#include "mtmd/quality/passage.h"

namespace mtmd::quality {

Collector::Collector(std::shared_ptr<const Model> model, const CollectOptions& options)
    : model_(std::move(model)),
      options_(options),
      device_(model_->device(), model_->file(), options.observe),
      reader_(std::make_unique<WindowReader>(model_->file(), device_, options.reader)) {
  if (options.perplexity) pool_ = std::make_unique<ThreadPool>(device_.info().threads);
}

Collector::~Collector() = default;

void Collector::read(const Windows& windows, std::int32_t index) {
  const auto original = windows.original(index);
  std::vector<double> nll;
  const auto score = [&](Tensor logits, std::int32_t first) {
    nll.resize(static_cast<std::size_t>(logits.rows));
    pool_->parallel_for(logits.rows, [&](std::int64_t r) {
      nll[static_cast<std::size_t>(r)] = nll_of({logits.row(r), static_cast<std::size_t>(logits.cols)},
                                                original[static_cast<std::size_t>(first + r) + 1]);
    });
    for (const double v : nll) likelihood_.add(v);
  };
  const std::int32_t first = options_.perplexity ? windows.first_scored() : windows.n_ctx();
  device_.skip_logits(first);
  reader_->read(windows.input(index), first, true, options_.perplexity ? score : WindowReader::OnLogits{}, {});
  ++chunks_;
}

void Collector::read(const Prompt& prompt, const encoders::ImageLimits& limits) {
  const Passage passage = make_passage(*model_, prompt, limits);
  read_passage(reader_->decoder(), device_, passage, options_.reader, true,
               [&](const decoder::Batch& batch) { device_.skip_logits(batch.rows()); }, {});
  ++chunks_;
}

ImportanceMatrix Collector::matrix() const {
  ImportanceMatrix m = device_.seen();
  m.chunk_count = chunks_;
  m.chunk_size = static_cast<std::uint32_t>(options_.reader.n_ctx);
  return m;
}

}  // namespace mtmd::quality
