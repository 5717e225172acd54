#include "mtmd/quality/passage.h"

#include <algorithm>

#include "engine/base/error.h"
#include "mtmd/encode.h"

namespace mtmd::quality {

Passage make_passage(const Model& model, const Prompt& prompt, const encoders::ImageLimits& limits,
                     std::vector<Token> answer) {
  const decoder::DecoderSpec& spec = model.spec();
  Passage p{build_chunks(prompt, model.tokenizer(), model.encoders(),
                         {.mrope = spec.mrope, .add_special = true, .limits = limits}),
            {},
            std::move(answer)};
  const auto n = p.chunks.n_tokens + std::ssize(p.answer);
  if (n > spec.n_ctx_train)
    fail(ErrorCategory::resource,
         "prompt and answer take {} tokens, the model was trained for {}: use a smaller picture", n, spec.n_ctx_train);
  Workspace ws(model.device());
  for (const Chunk& chunk : p.chunks.list) {
    auto& embeddings = p.embeddings.emplace_back();
    if (!chunk.is_media()) continue;
    const Chunk* wanted = &chunk;
    embeddings = encode_media(p.chunks, std::span(&wanted, 1), model.encoders(), ws);
  }
  return p;
}

namespace {

/// Rows [begin, end) of a chunk as a batch.
void fill(decoder::Batch& batch, const Chunk& chunk, const std::vector<float>& embeddings, std::int32_t begin,
          std::int32_t end) {
  const auto at = static_cast<std::size_t>(begin), n = static_cast<std::size_t>(end - begin);
  batch.clear();
  if (!chunk.is_media()) {
    batch.add_text(0, std::span(chunk.tokens).subspan(at, n), chunk.pos_start + begin, false);
    return;
  }
  const auto positions = chunk.positions();
  batch.add_embeddings(0, std::span(positions).subspan(at, n), chunk.non_causal);
  const std::size_t width = embeddings.size() / static_cast<std::size_t>(chunk.n_tokens);
  batch.embeddings = Tensor(const_cast<float*>(embeddings.data()) + at * width, static_cast<std::int64_t>(n),
                            static_cast<std::int64_t>(width));
}

}  // namespace

void read_passage(decoder::Decoder& decoder, Device& device, const Passage& p, const ReaderOptions& options, bool whole,
                  const OnBatch& before, const OnAnswer& on_answer) {
  const auto layers = decoder.kv_layers();
  const auto n_answer = static_cast<std::int32_t>(p.answer.size());
  kv::Cache cache(device, layers, {.type = options.kv_type, .n_ctx = std::max(1, p.chunks.n_tokens + n_answer)});
  const std::int32_t most = std::max(1, options.n_ubatch);
  decoder::Batch batch;
  const auto run = [&](std::size_t first) {
    if (before) before(batch);
    const Tensor logits = decoder.forward(batch, cache);
    if (!whole && on_answer && logits.rows > 0) on_answer(logits, first);
  };
  for (std::size_t c = 0; c < p.chunks.list.size(); ++c) {
    const Chunk& chunk = p.chunks.list[c];
    // A picture that sees itself cannot be cut.
    for (std::int32_t begin = 0, end = 0; begin < chunk.n_tokens; begin = end) {
      end = chunk.non_causal ? chunk.n_tokens : std::min(chunk.n_tokens, begin + most);
      fill(batch, chunk, p.embeddings[c], begin, end);
      if (whole) batch.want_logits.assign(batch.want_logits.size(), true);
      if (!whole && n_answer > 0 && c + 1 == p.chunks.list.size() && end == chunk.n_tokens)
        batch.want_logits.back() = true;
      run(0);
    }
  }
  for (std::int32_t begin = 0, end = 0; begin < n_answer; begin = end) {
    end = std::min(n_answer, begin + most);
    batch.clear();
    batch.add_text(0,
                   std::span(p.answer).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)),
                   p.chunks.n_pos + begin, false);
    batch.want_logits.assign(batch.want_logits.size(), true);
    if (!whole && end == n_answer) batch.want_logits.back() = false;  // nothing follows the last
    run(static_cast<std::size_t>(begin) + 1);
  }
}

}  // namespace mtmd::quality
