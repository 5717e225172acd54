#include "mtmd/conformance/media_case.h"

#include <algorithm>
#include <cmath>

#include "encoders/projector/audio_registry.h"
#include "encoders/projector/registry.h"
#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "engine/kv/cache.h"
#include "mtmd/conformance/media_compare.h"
#include "mtmd/conformance/media_sound.h"
#include "mtmd/conformance/reference_jpeg.h"
#include "mtmd/encode.h"
#include "mtmd/media/image_file.h"
#include "mtmd/media/sha256.h"
#include "mtmd/media/sound_file.h"

namespace mtmd::conformance {
namespace fs = std::filesystem;
namespace {

template <class Names>
bool contains(const Names& names, std::string_view wanted) {
  return std::find(names.begin(), names.end(), wanted) != names.end();
}

/// Nothing to compare with: the case is not supported.
struct Unsupported {
  std::string why;
};

/// The media of a case from one source of pixels or samples.
struct Variant {
  std::string note;  ///< appended to what is compared
  std::vector<Media> media;
  Gates gates;
};

void read_picture(const MappedFile& file, Media& ours, Media& theirs, bool& jpeg) {
  ours.image = media::decode_image(file.bytes(), ours.name, {.convention = media::Convention::reference}).image;
  theirs.image = ours.image;
  if (media::image_format(file.bytes()) != media::ImageFormat::jpeg) return;
  jpeg = true;
  auto pixels = reference_jpeg(file.bytes());
  if (!pixels) throw BadRecording{ours.name + " cannot be decoded as the reference does"};
  theirs.image = std::move(*pixels);
}

void read_recording_of(const MediaModel& model, const MappedFile& file, Media& ours, Media& theirs, bool& resampled) {
  KitSound sound = read_sound(file.bytes(), ours.name);
  theirs.sound = sound.samples, ours.sound = std::move(sound.samples);
  if (!sound.resampled) return;
  resampled = true;
  auto samples = recorded_sound(model.root, ours.name);
  if (!samples) throw BadRecording{"decode.golden.gguf does not hold the samples of " + ours.name};
  theirs.sound = std::move(*samples);
}

/// All variants of a case: the files as we decode them and, where JPEGs or other rates are among them, as the reference
/// decodes those.
std::vector<Variant> read_variants(const MediaModel& model, const Recording& recording) {
  Variant ours{"", {}, gates_for(model.folder.filename().string())}, reference = ours;
  bool jpeg = false, resampled = false;
  for (const std::string& name : recording.media) {
    const MappedFile file(model.root / "inputs" / name);
    Media m;
    m.id = media::sha256_hex(file.bytes()), m.name = name, m.frame = recording.mergeable;
    Media theirs = m;
    if (media::image_format(file.bytes())) {
      read_picture(file, m, theirs, jpeg);
    } else if (media::is_sound(file.bytes())) {
      read_recording_of(model, file, m, theirs, resampled);
    } else {
      throw Unsupported{name + " is neither a picture nor a recording that we read"};
    }
    ours.media.push_back(std::move(m)), reference.media.push_back(std::move(theirs));
  }
  if (!jpeg && !resampled) return {std::move(ours)};
  if (jpeg) ours.gates = loosened_for_jpeg(ours.gates);
  reference.note = jpeg ? " (reference's JPEG decoder)" : " (recorded samples)";
  return {std::move(ours), std::move(reference)};
}

/// One variant of one case, compared step by step.
class CaseRun {
 public:
  CaseRun(MediaModel& model, std::string name, const gguf::File& golden, const Recording& recording, const Sink& sink)
      : model_(model), name_(std::move(name)), golden_(golden), recording_(recording), sink_(sink) {}

  void run(Variant variant) {
    note_ = variant.note, gates_ = variant.gates;
    bool same_chunks = false;
    check("chunks", [&](Result& r) {
      const Prompt prompt = Prompt::marked(recording_.prompt, std::move(variant.media));
      ChunkOptions options{.mrope = recording_.mrope, .add_special = true, .limits = {}};
      options.limits.min_tokens = recording_.image_min_tokens, options.limits.max_tokens = recording_.image_max_tokens;
      chunks_ = build_chunks(prompt, *model_.tokenizer, model_.encoders(), options);
      compare_chunks(r, chunks_, prompt, recording_);
      same_chunks = r.outcome == Outcome::passed;
    });
    if (!same_chunks) return;  // nothing that follows would be comparable
    if (has_preprocessed(false)) check("preprocessed", [&](Result& r) { preprocessed(r); });
    if (has_preprocessed(true)) check("spectrogram", [&](Result& r) { spectrogram(r); });
    check("embeddings", [&](Result& r) { embeddings(r); });
    if (!model_.text_unsupported.empty()) {
      check("logits", [&](Result&) { throw Unsupported{model_.text_unsupported}; });
      return;
    }
    check("logits", [&](Result& r) { logits(r); });
    check("greedy tokens", [&](Result& r) { greedy(r); });
  }

  template <class Body>
  void check(const std::string& compared, Body body) const {
    Result r;
    r.kind = "media", r.name = name_, r.compared = compared + note_;
    try {
      body(r);
    } catch (const Unsupported& u) {
      r.outcome = Outcome::unsupported, r.detail = u.why;
    } catch (const BadRecording& b) {
      r.outcome = Outcome::failed, r.detail = b.what;
    } catch (const std::exception& e) {
      r.outcome = Outcome::failed, r.detail = e.what();
    }
    sink_(r);
  }

 private:
  /// visit(chunk, recorded chunk) for every media chunk.
  template <class Visit>
  void for_media(Visit visit) const {
    for (std::size_t i = 0; i < chunks_.list.size(); ++i) {
      if (chunks_.list[i].is_media()) visit(chunks_.list[i], recording_.chunks[i]);
    }
  }

  const gguf::TensorInfo* find_preprocessed(const RecordedChunk& chunk) const {
    return golden_.find(fmt::format("pre.{}", chunk.embd));
  }

  /// Whether the inputs of pictures, or of sound, were recorded.
  bool has_preprocessed(bool sound) const {
    bool has = false;
    for_media([&](const Chunk& got, const RecordedChunk& chunk) {
      has = has || (got.sound == sound && find_preprocessed(chunk) != nullptr);
    });
    return has;
  }

  void preprocessed(Result& r) const {
    PixelComparison comparison(gates_, model_.mmproj->metadata().require<std::vector<float>>("clip.vision.image_std"));
    for_media([&](const Chunk& got, const RecordedChunk& chunk) {
      if (got.sound) return;
      const encoders::Input& input = chunks_.inputs[static_cast<std::size_t>(got.input)];
      std::size_t n = 0;
      for (const image::Planes& frame : input.frames) n += frame.rgb.size();
      comparison.add(input, recorded_floats(golden_, fmt::format("pre.{}", chunk.embd), n));
    });
    comparison.judge(r);
  }

  void spectrogram(Result& r) const {
    double most = 0;
    for_media([&](const Chunk& got, const RecordedChunk& chunk) {
      if (!got.sound || find_preprocessed(chunk) == nullptr) return;
      const audio::Mel& mel = chunks_.sounds[static_cast<std::size_t>(got.input)].mel;
      if (chunk.pre_kept < 0 || chunk.pre_kept > mel.frames) throw BadRecording{"golden.chunks: pre_kept is absurd"};
      const auto n = static_cast<std::size_t>(chunk.pre_kept) * static_cast<std::size_t>(mel.bands);
      const double d = mel_difference(mel, recorded_floats(golden_, fmt::format("pre.{}", chunk.embd), n),
                                      chunk.pre_kept, chunk.pre_tail);
      if (std::isnan(d) || d > most) most = d;
    });
    judge(r, most, gates_.mel, "a value differs too much");
  }

  void embeddings(Result& r) {
    std::vector<const Chunk*> media;
    for_media([&](const Chunk& got, const RecordedChunk&) { media.push_back(&got); });
    Workspace ws(model_.device);
    embeddings_ = encode_media(chunks_, media, model_.encoders(), ws);
    const auto width = static_cast<std::size_t>(embedding_width(model_.encoders()));
    std::size_t at = 0;
    for_media([&](const Chunk&, const RecordedChunk& chunk) {
      const std::size_t n = static_cast<std::size_t>(chunk.n_tokens) * width;
      compare_embeddings(r, std::span(embeddings_).subspan(at, n),
                         recorded_floats(golden_, fmt::format("embd.{}", chunk.embd), n), width, gates_);
      at += n;
    });
  }

  void logits(Result& r) {
    const auto n_greedy = static_cast<std::int32_t>(recording_.greedy.size());
    cache_ = std::make_unique<kv::Cache>(model_.device, model_.decoder->kv_layers(),
                                         kv::Options{.type = DType::F32, .n_ctx = chunks_.n_tokens + n_greedy});
    decoder::Batch batch;
    for (std::size_t i = 0; i < chunks_.list.size(); ++i) {
      const Chunk& chunk = chunks_.list[i];
      const bool last = i + 1 == chunks_.list.size();
      if (chunk.is_media()) {
        batch.add_embeddings(0, chunk.positions(), chunk.non_causal);
        if (last) batch.want_logits.back() = true;
      } else {
        batch.add_text(0, chunk.tokens, chunk.pos_start, last);
      }
    }
    const std::int64_t width = embedding_width(model_.encoders());
    batch.embeddings = Tensor(embeddings_.data(), static_cast<std::int64_t>(embeddings_.size()) / width, width);
    const Tensor out = model_.decoder->forward(batch, *cache_);
    logits_.assign(out.row(0), out.row(0) + out.cols);
    compare_logits(r, logits_, recorded_floats(golden_, "logits", logits_.size()), gates_);
  }

  /// Follows the recorded tokens; wherever the recorded winner led clearly, ours must be the same.
  void greedy(Result& r) {
    const auto& want = recording_.greedy;
    const std::vector<float> recorded = recorded_floats(golden_, "logits", logits_.size());
    if (best_of(recorded) != want[0]) {
      throw BadRecording{
          fmt::format("golden.greedy begins with {}, but the recorded logits favour {}", want[0], best_of(recorded))};
    }
    double margin = gates_.margin;
    for (std::size_t step = 0; step < want.size(); ++step) {
      const float led_by = recording_.greedy_margin[step];
      if (!(led_by >= margin)) {
        margin =
            std::max(margin, 2 * gates_.logits);  // beyond what the kit asks for: only leads that no error can turn
      } else if (best_of(logits_) != want[step]) {
        return judge(r, 1, 0,
                     fmt::format("step {} chose {}, recorded {} with a margin of {:.3f}", step, best_of(logits_),
                                 want[step], led_by));
      }
      if (step + 1 == want.size()) break;
      decoder::Batch batch;
      batch.add_text(0, {&want[step], 1}, chunks_.n_pos + static_cast<std::int32_t>(step), true);
      const Tensor out = model_.decoder->forward(batch, *cache_);
      logits_.assign(out.row(0), out.row(0) + out.cols);
    }
    judge(r, 0, 0, "");
  }

  static std::int32_t best_of(const std::vector<float>& logits) {
    return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }

  MediaModel& model_;
  std::string name_, note_;
  const gguf::File& golden_;
  const Recording& recording_;
  const Sink& sink_;
  Gates gates_;
  Chunks chunks_;
  std::vector<float> embeddings_, logits_;
  std::unique_ptr<kv::Cache> cache_;
};

}  // namespace

MediaModel::MediaModel(fs::path f, fs::path r, Device& d) : folder(std::move(f)), root(std::move(r)), device(d) {}

void MediaModel::open_encoders() {
  const gguf::Metadata& metadata = mmproj->metadata();
  const auto known = [&](const auto& types, std::string_view type) {
    if (!contains(types, type)) unsupported = fmt::format("projector type '{}' is not supported yet", type);
    return unsupported.empty();
  };
  if (encoders::has_vision_encoder(metadata)) {
    if (!known(encoders::projector_types(), encoders::projector_type_of(metadata))) return;
    projector = encoders::load_projector(*mmproj, device);
    projector->follow_reference();
  }
  if (encoders::has_audio_encoder(metadata)) {
    if (!known(encoders::audio_projector_types(), encoders::audio_projector_type_of(metadata))) return;
    audio_projector = encoders::load_audio_projector(*mmproj, device);
    audio_projector->follow_reference();
  }
}

void MediaModel::open() {
  if (opened_ || !unsupported.empty()) return;
  mmproj = gguf::File::open(folder / "mmproj.gguf");
  mmproj->set_precision(Precision::f32);  // recorded values are compared at the full tolerance
  open_encoders();
  if (!unsupported.empty()) return;
  text = gguf::File::open(folder / "model.gguf");
  text->set_precision(Precision::f32);
  tokenizer = Tokenizer::load(text->metadata());
  const auto architecture = text->metadata().get_or<std::string_view>("general.architecture", "");
  if (contains(decoder::architectures(), architecture)) {
    decoder = std::make_unique<decoder::Decoder>(*text, device, decoder::Options{});
  } else {
    text_unsupported = fmt::format("architecture '{}' is not supported yet", architecture);
  }
  opened_ = true;
}

void run_media_case(MediaModel& model, const fs::path& path, const Sink& sink) {
  std::string name = path.filename().string();
  name = model.folder.filename().string() + "/" + name.substr(0, name.find(".golden.gguf"));
  std::optional<gguf::File> golden;
  Recording recording;
  std::vector<Variant> variants;
  Result r;
  r.kind = "media", r.name = name, r.compared = "recording";
  try {
    model.open();
    if (!model.unsupported.empty()) throw Unsupported{model.unsupported};
    golden = gguf::File::open(path);
    recording = read_recording(*golden);
    variants = read_variants(model, recording);
  } catch (const Unsupported& u) {
    r.outcome = Outcome::unsupported, r.detail = u.why;
    return sink(r);
  } catch (const BadRecording& b) {
    r.outcome = Outcome::failed, r.detail = b.what;
    return sink(r);
  } catch (const std::exception& e) {
    r.outcome = Outcome::failed, r.detail = e.what();
    return sink(r);
  }
  for (Variant& variant : variants) CaseRun(model, name, *golden, recording, sink).run(std::move(variant));
}

}  // namespace mtmd::conformance
