#include "mtmd/quality/collect.h"

#include <algorithm>

#include "engine/base/error.h"

namespace mtmd::quality {

Collector::Collector(std::shared_ptr<const Model> model, const CollectOptions& options)
    : model_(std::move(model)),
      options_(options),
      device_(model_->device(), model_->file(), options.observe),
      reader_(std::make_unique<WindowReader>(model_->file(), device_, options.reader)),
      encode_ws_(model_->device()) {
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

void Collector::feed(const decoder::Batch& batch, kv::Cache& cache) {
  device_.skip_logits(batch.rows());
  reader_->decoder().forward(batch, cache);
}

void Collector::read(const Prompt& prompt, const encoders::ImageLimits& limits) {
  const decoder::DecoderSpec& spec = model_->spec();
  Chunks chunks = build_chunks(prompt, model_->tokenizer(), model_->projector(),
                               {.mrope = spec.mrope, .add_special = true, .limits = limits});
  if (chunks.n_tokens > spec.n_ctx_train)
    fail(ErrorCategory::resource, "the prompt takes {} tokens, the model was trained for {}: use a smaller picture",
         chunks.n_tokens, spec.n_ctx_train);
  const auto layers = reader_->decoder().kv_layers();
  kv::Cache cache(device_, layers, {.type = options_.reader.kv_type, .n_ctx = std::max(1, chunks.n_tokens)});
  const std::int32_t most = std::max(1, options_.reader.n_ubatch);
  decoder::Batch batch;
  for (const Chunk& chunk : chunks.list) {
    const auto positions = chunk.positions();
    Tensor embeddings;
    if (chunk.is_media()) {
      encode_ws_.reset();
      const encoders::Input* input = &chunks.inputs[static_cast<std::size_t>(chunk.input)];
      embeddings = model_->projector()->encode(std::span(&input, 1), encode_ws_);
    }
    // A picture that sees itself cannot be cut.
    for (std::int32_t begin = 0, end = 0; begin < chunk.n_tokens; begin = end) {
      end = chunk.non_causal ? chunk.n_tokens : std::min(chunk.n_tokens, begin + most);
      const auto at = static_cast<std::size_t>(begin), n = static_cast<std::size_t>(end - begin);
      batch.clear();
      if (chunk.is_media()) {
        batch.add_embeddings(0, std::span(positions).subspan(at, n), chunk.non_causal);
        batch.embeddings = embeddings.rows_at(begin, end - begin);
      } else {
        batch.add_text(0, std::span(chunk.tokens).subspan(at, n), chunk.pos_start + begin, false);
      }
      batch.want_logits.assign(n, true);
      feed(batch, cache);
    }
  }
  ++chunks_;
}

ImportanceMatrix Collector::matrix() const {
  ImportanceMatrix m = device_.seen();
  m.chunk_count = chunks_;
  m.chunk_size = static_cast<std::uint32_t>(options_.reader.n_ctx);
  return m;
}

}  // namespace mtmd::quality
