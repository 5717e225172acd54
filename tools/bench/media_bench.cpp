#include "bench/media_bench.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "bench/encoder_runner.h"
#include "bench/statistics.h"
#include "bench/synthetic.h"
#include "encoders/projector/audio_projector.h"
#include "encoders/projector/projector.h"
#include "engine/base/error.h"
#include "engine/base/isa.h"
#include "mtmd/media/image_file.h"
#include "mtmd/media/sound_file.h"

namespace mtmd::bench {
namespace {

class Media {
 public:
  Media(const MediaJob& job, const TextOptions& options, const Plan& plan, const std::function<void(const Result&)>& progress)
      : job_(job),
        options_(options),
        plan_(plan),
        progress_(progress),
        device_(make_device("cpu", {.threads = options.threads, .isa = options.isa})),
        facts_(model_facts(*job.encoder, job.name)),
        ws_(*device_) {
    if (job.text) decoder_.emplace(*job.text, *device_, decoder::Options{.n_ctx = 0, .n_ubatch = options.ubatch});
  }

  void picture(const encoders::Projector& projector, Size size) {
    const std::string what = " " + picture_name(size);
    const double megapixels = 1e-6 * size.width * size.height;
    const image::Image picture = made_picture(size.width, size.height);
    for (const auto& [name, bytes] : {std::pair("decode png", png_file(picture)), std::pair("decode jpeg", jpeg_file(picture))})
      stage(name + what, "MP/s", megapixels, [&] { media::decode_image(bytes, "made up"); });
    encoders::Preprocessed prepared;
    stage("resize" + what, "MP/s", megapixels, [&] { prepared = projector.preprocess(std::span(&picture, 1), {}); });
    std::vector<float> embeddings;
    int tokens = 0;
    for (const encoders::Input& input : prepared.inputs) tokens += projector.n_tokens(input);
    stage("encode" + what, "images/s", 1, [&] { embeddings = encode(projector, prepared.inputs, ws_); },
          fmt::format(", {} inputs, {} tokens at {}x{}", prepared.inputs.size(), tokens, prepared.used.width, prepared.used.height));
    if (job_.cosine) compare_with_f32(encoders::load_projector, prepared.inputs, embeddings, tokens);
    answer(what, embeddings, tokens, projector.non_causal());
  }

  void sound(const encoders::AudioProjector& projector, std::int32_t seconds) {
    const std::string what = " " + sound_name(seconds);
    const std::vector<float> recorded = made_sound(seconds, kRecordedRate);
    for (const auto& [name, bytes] : {std::pair("decode wav", wav_file(recorded, kRecordedRate)), std::pair("decode flac", flac_file(recorded, kRecordedRate))})
      stage(name + what, "x real time", seconds, [&] { media::decode_sound(bytes, "made up"); });
    std::vector<float> samples;
    stage("resample" + what, "x real time", seconds, [&] { samples = media::resample(recorded, kRecordedRate, audio::kRate); });
    encoders::AudioPreprocessed prepared;
    stage("mel" + what, "x real time", seconds, [&] { prepared = projector.preprocess(samples); });
    std::vector<float> embeddings;
    int tokens = 0;
    for (const encoders::AudioInput& input : prepared.inputs) tokens += projector.n_tokens(input);
    stage("encode" + what, "x real time", seconds, [&] { embeddings = encode(projector, prepared.inputs, ws_); },
          fmt::format(", {} windows, {} tokens", prepared.inputs.size(), tokens));
    if (job_.cosine) compare_with_f32(encoders::load_audio_projector, prepared.inputs, embeddings, tokens);
    answer(what, embeddings, tokens, false);
  }

  std::vector<Result> take() { return std::move(results_); }

 private:
  /// Some text, the embeddings, and the answer token by token.
  void answer(const std::string& what, std::vector<float>& embeddings, int tokens, bool see_each_other) {
    if (!decoder_ || tokens == 0) return;
    constexpr std::int32_t kText = 16;
    kv::Cache cache(*device_, decoder_->kv_layers(), {.type = options_.cache_type, .n_ctx = kText + tokens + job_.generate + 64});
    const std::int64_t width = std::ssize(embeddings) / tokens;
    const std::vector<std::int32_t> text(kText, 1);
    decoder::Batch batch;
    const auto prefill = [&] {
      cache.clear(0);
      batch.clear();
      batch.add_text(0, text, 0, false);
      std::vector<Position> at(static_cast<std::size_t>(tokens));
      for (std::int32_t i = 0; i < tokens; ++i) at[static_cast<std::size_t>(i)] = Position{kText + i, kText + i, kText + i};
      batch.embeddings = Tensor(embeddings.data(), tokens, width);
      batch.add_embeddings(0, at, see_each_other);
      batch.want_logits.back() = true;
      decoder_->forward(batch, cache);
    };
    stage("prefill" + what, "t/s", kText + tokens, prefill);
    if (job_.generate == 0) return;
    stage("generate" + what, "t/s", job_.generate, [&] {
      cache.truncate(0, kText + tokens);
      if (cache.length(0) < kText + tokens) prefill();
      for (std::int32_t i = 0; i < job_.generate; ++i) {
        batch.clear();
        batch.add_text(0, std::span(text).first(1), cache.length(0), true);
        decoder_->forward(batch, cache);
      }
    });
  }

  /// Puts the lowest cosine of a token into the last row.
  template <class Load, class Input>
  void compare_with_f32(Load load, const std::vector<Input>& inputs, const std::vector<float>& embeddings, int tokens) {
    const Precision usual = job_.encoder->precision();
    job_.encoder->set_precision(Precision::f32);
    const auto projector = load(*job_.encoder, *device_);
    job_.encoder->set_precision(usual);
    const double worst = worst_cosine(embeddings, encode(*projector, inputs, ws_), tokens);
    results_.back().extra.emplace_back("cosine_to_f32", worst);
    results_.back().limit += fmt::format(", cosine to f32 at least {:.6f}", worst);
  }

  template <class F>
  void stage(std::string test, std::string unit, double amount, F body, const std::string& remark = {}) {
    Result r;
    facts_.copy_to(r);
    r.n_threads = device_->info().threads;
    r.isa = name(select_isa(options_.isa));
    r.n_batch = r.n_ubatch = options_.ubatch;
    r.type_k = r.type_v = name(options_.cache_type);
    r.test = std::move(test);
    r.unit = std::move(unit);
    r.amount = amount;
    r.samples = measure(plan_, [] {}, [&] {
      body();
      return -1.0;
    });
    r.limit = fmt::format("{:.1f} ms{}", 1e3 * median(r.samples.seconds), remark);
    results_.push_back(std::move(r));
    if (progress_) progress_(results_.back());
  }

  const MediaJob& job_;
  const TextOptions& options_;
  const Plan& plan_;
  const std::function<void(const Result&)>& progress_;
  std::unique_ptr<Device> device_;
  ModelFacts facts_;
  Workspace ws_;
  std::optional<decoder::Decoder> decoder_;
  std::vector<Result> results_;

 public:
  Device& device() noexcept { return *device_; }
};

}  // namespace

std::vector<Result> bench_media(const MediaJob& job, const TextOptions& options, const Plan& plan,
                                const std::function<void(const Result&)>& progress) {
  const gguf::Metadata& metadata = job.encoder->metadata();
  if (!job.pictures.empty() && !encoders::has_vision_encoder(metadata))
    fail(ErrorCategory::usage, "bench --image: {} has no encoder of pictures", job.name);
  if (!job.seconds.empty() && !encoders::has_audio_encoder(metadata))
    fail(ErrorCategory::usage, "bench --audio: {} has no encoder of sound", job.name);
  Media media(job, options, plan, progress);
  if (!job.pictures.empty()) {
    const auto projector = encoders::load_projector(*job.encoder, media.device());
    for (const Size size : job.pictures) media.picture(*projector, size);
  }
  if (!job.seconds.empty()) {
    const auto projector = encoders::load_audio_projector(*job.encoder, media.device());
    for (const std::int32_t s : job.seconds) media.sound(*projector, s);
  }
  return media.take();
}

}  // namespace mtmd::bench
