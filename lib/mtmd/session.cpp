#include "mtmd/session.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/device/null_device.h"
#include "mtmd/encode.h"
#include "mtmd/text_stream.h"

namespace mtmd {

namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// What one cache row holds, so that the common beginning of two prompts can be found: a token id, or (negative) a hash
/// of medium and row.
using Cell = std::int64_t;

Cell media_cell(const std::string& id, int input, int row) {
  std::uint64_t h = 14695981039346656037ull;
  const auto mix = [&](std::uint64_t v) { h = (h ^ v) * 1099511628211ull; };
  for (const char c : id) mix(static_cast<unsigned char>(c));
  mix(static_cast<std::uint64_t>(input));
  mix(static_cast<std::uint64_t>(row));
  return -1 - static_cast<Cell>(h >> 2);
}

constexpr int kAnswerRoom = 4096;  ///< context kept for an answer of unknown length

}  // namespace

std::string_view name(FinishReason reason) noexcept {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::loop:
      return "loop";
    case FinishReason::timeout:
      return "timeout";
    case FinishReason::cancelled:
      return "cancelled";
  }
  return "";
}

Timings& Timings::operator+=(const Timings& o) noexcept {
  decode += o.decode, preprocess += o.preprocess, encode += o.encode;
  prefill += o.prefill, generate += o.generate, total += o.total;
  return *this;
}

struct Session::Impl {
  Impl(const Model& m, const SessionOptions& o)
      : model(m),
        options(o),
        decoder(m.file(), m.device(), {.n_ctx = o.n_ctx, .n_ubatch = o.n_ubatch}),
        encode_ws(m.device()) {}

  Chunks chunks(const Prompt& prompt, const GenerateOptions& generate) const {
    return build_chunks(prompt, model.tokenizer(), model.encoders(),
                        {.mrope = model.spec().mrope, .add_special = true, .limits = generate.image_limits});
  }

  /// Context for this prompt and its answer.
  int context_for(const Chunks& chunks, int max_tokens) const {
    if (options.n_ctx > 0) return options.n_ctx;
    const int wanted = chunks.n_tokens + (max_tokens >= 0 ? max_tokens : kAnswerRoom);
    return std::clamp(wanted, 1, std::max(1, model.spec().n_ctx_train));
  }

  void make_room(const Chunks& chunks, int max_tokens) {
    const int n_ctx = context_for(chunks, max_tokens);
    if (chunks.n_tokens + 1 > n_ctx)
      fail(ErrorCategory::resource,
           "the prompt takes {} tokens ({} of them media) and the answer needs room too, but the context holds {}; {}",
           chunks.n_tokens, chunks.n_media_tokens, n_ctx,
           options.n_ctx > 0 && options.n_ctx < model.spec().n_ctx_train
               ? fmt::format("-c {} would do", chunks.n_tokens + std::max(max_tokens, 256))
               : fmt::format("the model was trained for {}: use a smaller picture, --image-max-tokens, or less text",
                             model.spec().n_ctx_train));
    if (cache && cache->options().n_ctx >= n_ctx) return;
    cache.reset();  // before the new one is allocated: never both in memory
    cells.clear();
    const auto layers = model.kv_layers();
    cache = std::make_unique<kv::Cache>(model.device(), layers, kv::Options{.type = options.kv_type, .n_ctx = n_ctx});
  }

  /// Keeps the cached rows that this prompt begins with; returns how many.
  int reuse(const Chunks& chunks, const Prompt& prompt) {
    int kept = 0;
    for (const Chunk& chunk : chunks.list) {
      if (chunk.is_media() && prompt.media()[static_cast<std::size_t>(chunk.media)].id.empty())
        break;  // may be any picture
      int same = 0;
      for (; same < chunk.n_tokens; ++same) {
        const auto at = static_cast<std::size_t>(kept + same);
        if (at >= cells.size() || cells[at] != cell(chunk, same, prompt)) break;
      }
      const bool whole = same == chunk.n_tokens;
      if (whole || !chunk.is_media()) kept += same;  // a picture is kept whole or not at all
      if (!whole) break;
    }
    // The last token is always computed: its logits are wanted. A picture at the very end is computed again whole.
    if (kept == chunks.n_tokens)
      kept -= chunks.list.empty() ? 0 : chunks.list.back().is_media() ? chunks.list.back().n_tokens : 1;
    kept = cache->truncate(0, kept);
    cells.resize(static_cast<std::size_t>(kept));
    return kept;
  }

  static Cell cell(const Chunk& chunk, int row, const Prompt& prompt) {
    if (!chunk.is_media()) return chunk.tokens[static_cast<std::size_t>(row)];
    return media_cell(prompt.media()[static_cast<std::size_t>(chunk.media)].id, chunk.input, row);
  }

  /// Embeddings of every media chunk from cache row `from` on, in chunk order; incomplete when stopped.
  static std::vector<float> encode(const Chunks& chunks, int from, const Encoders& encoders, Workspace& ws,
                                   const std::function<bool()>& stopped) {
    std::vector<const Chunk*> wanted;
    int row = 0;
    for (const Chunk& c : chunks.list) {
      if (c.is_media() && row >= from) wanted.push_back(&c);
      row += c.n_tokens;
    }
    return encode_media(chunks, wanted, encoders, ws, stopped);
  }

  /// Runs the prompt from cache row `from` on; returns the logits after its last token, or nothing when stopped before.
  std::optional<std::span<const float>> prefill(const Chunks& chunks, const Prompt& prompt, int from,
                                                std::vector<float>& embeddings, const std::function<bool()>& stopped) {
    decoder::Batch batch;
    std::size_t embedding = 0;
    std::int64_t embedding_rows = 0;
    std::span<const float> logits;
    const std::int64_t width = embedding_width(model.encoders());
    const auto flush = [&] {
      if (batch.tokens.empty()) return true;
      if (stopped()) return false;
      batch.embeddings = Tensor(embeddings.data() + embedding, embedding_rows, width);
      const Tensor out = decoder.forward(batch, *cache);
      if (out.rows > 0) logits = {out.row(out.rows - 1), static_cast<std::size_t>(out.cols)};
      embedding += static_cast<std::size_t>(embedding_rows * width);
      embedding_rows = 0;
      batch = {};
      return true;
    };
    int row = 0;
    for (const Chunk& chunk : chunks.list) {
      const auto positions = chunk.positions();
      const int skip = std::clamp(from - row, 0, chunk.n_tokens);
      row += chunk.n_tokens;
      const auto block_end = static_cast<int>(batch.rows()) + chunk.n_tokens - skip;
      for (int k = skip; k < chunk.n_tokens; ++k) {
        if (!chunk.non_causal && batch.rows() >= options.n_ubatch && !flush()) return std::nullopt;
        const auto at = static_cast<std::size_t>(k);
        batch.tokens.push_back(chunk.is_media() ? -1 : chunk.tokens[at]);
        batch.positions.push_back(positions[at]);
        batch.sequences.push_back(0);
        batch.see_until.push_back(chunk.non_causal ? block_end : static_cast<int>(batch.rows()));
        batch.want_logits.push_back(&chunk == &chunks.list.back() && k + 1 == chunk.n_tokens);
        embedding_rows += chunk.is_media();
        cells.push_back(cell(chunk, k, prompt));
      }
    }
    if (!flush()) return std::nullopt;
    return logits;
  }

  std::span<const float> step(Token token, int position) {
    decoder::Batch& b = one;
    b.tokens.assign(1, token);
    b.positions.assign(1, Position{position, position, position, 0});
    b.sequences.assign(1, 0);
    b.see_until.assign(1, 1);
    b.want_logits.assign(1, true);
    cells.push_back(token);
    const Tensor out = decoder.forward(b, *cache);
    return {out.row(0), static_cast<std::size_t>(out.cols)};
  }

  const Model& model;
  SessionOptions options;
  decoder::Decoder decoder;
  Workspace encode_ws;
  std::unique_ptr<kv::Cache> cache;
  std::vector<Cell> cells;  ///< what the cache holds
  decoder::Batch one;
};

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options)
    : model_(std::move(model)), impl_(std::make_unique<Impl>(*model_, options)) {}
Session::~Session() = default;

void Session::reset() {
  if (impl_->cache) impl_->cache->clear(0);
  impl_->cells.clear();
}

std::uint64_t Session::encoder_bytes(const Chunks& chunks) const {
  if (chunks.inputs.empty() && chunks.sounds.empty()) return 0;
  const auto device = make_null_device();
  std::unique_ptr<encoders::Projector> pictures;
  std::unique_ptr<encoders::AudioProjector> sound;
  if (!chunks.inputs.empty()) pictures = encoders::load_projector(*model_->mmproj_file(), *device);
  if (!chunks.sounds.empty()) sound = encoders::load_audio_projector(*model_->mmproj_file(), *device);
  Workspace ws(*device);
  const std::vector<float> embeddings =
      Impl::encode(chunks, 0, {pictures.get(), sound.get()}, ws, [] { return false; });
  std::uint64_t values = 0;
  for (const encoders::Input& input : chunks.inputs)
    for (const image::Planes& frame : input.frames) values += frame.rgb.size();
  for (const encoders::AudioInput& input : chunks.sounds) values += input.mel.values.size();
  return ws.peak_bytes() + device->packed_bytes() + (embeddings.size() + values) * sizeof(float);
}

Plan Session::plan(const Prompt& prompt, const GenerateOptions& options) {
  const Chunks chunks = impl_->chunks(prompt, options);
  Plan plan;
  plan.n_media_tokens = chunks.n_media_tokens;
  plan.n_text_tokens = chunks.n_tokens - chunks.n_media_tokens;
  plan.n_positions = chunks.n_pos;
  plan.n_ctx = impl_->context_for(chunks, options.max_tokens);
  plan.n_ctx_train = model_->spec().n_ctx_train;
  plan.weight_bytes = model_->weight_bytes();
  plan.kv_bytes = kv::Cache::bytes_needed(model_->kv_layers(), {.type = impl_->options.kv_type, .n_ctx = plan.n_ctx});
  plan.scratch_bytes = impl_->decoder.scratch_bytes() + encoder_bytes(chunks);
  plan.peak_bytes = plan.weight_bytes + plan.kv_bytes + plan.scratch_bytes;
  plan.media = chunks.media;
  return plan;
}

Generated Session::generate(const Prompt& prompt, const GenerateOptions& options, const OnText& on_text) {
  const auto start = Clock::now();
  Generated result;
  const auto interrupted = [&]() -> bool {
    if (options.cancel && options.cancel->load(std::memory_order_relaxed))
      return result.finish = FinishReason::cancelled, true;
    if (options.timeout.count() > 0 && Clock::now() - start > options.timeout)
      return result.finish = FinishReason::timeout, true;
    return false;
  };
  Impl& s = *impl_;
  const Chunks chunks = s.chunks(prompt, options);
  if (chunks.n_tokens == 0) fail(ErrorCategory::usage, "the prompt is empty: give -p, --file or media");
  result.media = chunks.media;
  result.n_prompt = chunks.n_tokens;
  result.timings.preprocess = ms_since(start);
  s.make_room(chunks, options.max_tokens);
  Sampler sampler(options.sampling, &model_->tokenizer());

  auto stage = Clock::now();
  std::span<const float> logits;
  try {
    result.n_cached = s.reuse(chunks, prompt);
    std::vector<float> embeddings = Impl::encode(chunks, result.n_cached, model_->encoders(), s.encode_ws, interrupted);
    result.timings.encode = ms_since(stage);
    stage = Clock::now();
    const auto after = s.prefill(chunks, prompt, result.n_cached, embeddings, interrupted);
    result.timings.prefill = ms_since(stage);
    if (!after) {
      reset();
      result.timings.total = ms_since(start);
      return result;
    }
    logits = *after;
  } catch (...) {
    reset();  // cells and cache may disagree now
    throw;
  }
  for (const Chunk& chunk : chunks.list)
    for (const Token token : chunk.tokens) sampler.accept(token);

  stage = Clock::now();
  TextStream stream(options.stop, on_text);
  std::vector<Token> stop_tokens;  // control tokens have no text of their own
  for (const std::string& text : options.stop)
    if (const Token token = model_->tokenizer().find(text); token >= 0) stop_tokens.push_back(token);
  LoopGuard guard;
  int position = chunks.n_pos;
  result.finish = FinishReason::length;
  const int room = s.cache->options().n_ctx - chunks.n_tokens;
  const int limit = options.max_tokens >= 0 ? std::min(options.max_tokens, room) : room;
  for (int n = 0; n < limit; ++n) {
    if (interrupted()) break;
    const Token token = sampler.sample(logits);
    if (model_->tokenizer().is_end_of_generation(token) || std::ranges::count(stop_tokens, token) > 0) {
      result.finish = FinishReason::stop;
      break;
    }
    result.tokens.push_back(token);
    if (stream.push(model_->tokenizer().piece(token))) {
      result.finish = FinishReason::stop;
      break;
    }
    if (options.loop_guard)
      if (const auto keep = guard.push(token)) {
        result.tokens.resize(*keep);
        result.finish = FinishReason::loop;
        break;
      }
    if (n + 1 < limit) logits = s.step(token, position++);
  }
  if (result.finish == FinishReason::loop) {
    for (const Token token : result.tokens) result.text += model_->tokenizer().piece(token);
  } else {
    stream.finish();
    result.text = stream.text();
  }
  result.timings.generate = ms_since(stage);
  result.timings.total = ms_since(start);
  return result;
}

SamplingOptions recommended_sampling(const Model& model) {
  const auto number = [&](std::string_view key, auto otherwise) {
    const gguf::Value* value = model.file().metadata().find(fmt::format("general.sampling.{}", key));
    return value ? static_cast<decltype(otherwise)>(value->as_number().value_or(otherwise)) : otherwise;
  };
  SamplingOptions s;
  s.temperature = number("temp", 0.7f);
  s.top_k = number("top_k", s.top_k);
  s.top_p = number("top_p", s.top_p);
  s.min_p = number("min_p", s.min_p);
  s.penalty_last_n = number("penalty_last_n", s.penalty_last_n);
  s.repeat_penalty = number("penalty_repeat", s.repeat_penalty);
  return s;
}

std::string format_chat(const Model& model, std::span<const Message> messages, bool add_generation_prompt) {
  using Json = nlohmann::ordered_json;
  const Tokenizer& tokenizer = model.tokenizer();
  const auto text_of = [&](Token t) { return t >= 0 ? std::string(tokenizer.text(t)) : std::string(); };
  Json context = {
      {"messages", Json::array()}, {"bos_token", text_of(tokenizer.bos())}, {"eos_token", text_of(tokenizer.eos())}};
  for (const Message& m : messages) context["messages"].push_back({{"role", m.role}, {"content", m.content}});
  if (add_generation_prompt) context["add_generation_prompt"] = true;
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::string text = chat::render_conversation(model.chat_template(), context, now);
  // build_chunks adds BOS itself where the vocabulary asks for it.
  if (const std::string bos = text_of(tokenizer.bos()); tokenizer.adds_bos() && !bos.empty() && text.starts_with(bos))
    text.erase(0, bos.size());
  return text;
}

}  // namespace mtmd
