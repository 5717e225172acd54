#include "mtmd/conformance/media_case.h"

#include <algorithm>

#include "encoders/projector/registry.h"
#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "engine/kv/cache.h"
#include "mtmd/conformance/media_compare.h"
#include "mtmd/conformance/reference_jpeg.h"
#include "mtmd/media/image_file.h"
#include "mtmd/media/sha256.h"

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

/// The pictures of a case from one source of pixels.
struct Variant {
  std::string note;  ///< appended to what is compared
  std::vector<Media> media;
  Gates gates;
};

/// All variants of a case: the files as we decode them and, where JPEGs are among them, as the reference decodes those.
std::vector<Variant> read_variants(const MediaModel& model, const Recording& recording) {
  Variant ours{"", {}, gates_for(model.folder.filename().string())}, reference = ours;
  reference.note = " (reference's JPEG decoder)";
  bool jpeg = false;
  for (const std::string& name : recording.media) {
    const MappedFile file(model.root / "inputs" / name);
    const auto format = media::image_format(file.bytes());
    if (!format) throw Unsupported{name + " is not a picture that we read"};
    Media m;
    m.image = media::decode_image(file.bytes(), name, {.convention = media::Convention::reference}).image;
    m.id = media::sha256_hex(file.bytes()), m.name = name, m.frame = recording.mergeable;
    ours.media.push_back(m);
    if (*format == media::ImageFormat::jpeg) {
      jpeg = true;
      auto pixels = reference_jpeg(file.bytes());
      if (!pixels) throw BadRecording{name + " cannot be decoded as the reference does"};
      m.image = std::move(*pixels);
    }
    reference.media.push_back(std::move(m));
  }
  if (!jpeg) return {std::move(ours)};
  ours.gates = loosened_for_jpeg(ours.gates);
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
      chunks_ = build_chunks(prompt, *model_.tokenizer, model_.projector.get(), options);
      compare_chunks(r, chunks_, prompt, recording_);
      same_chunks = r.outcome == Outcome::passed;
    });
    if (!same_chunks) return;  // nothing that follows would be comparable
    if (golden_.find("pre.0") != nullptr) check("preprocessed", [&](Result& r) { preprocessed(r); });
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
  template <class Visit>
  void for_media(Visit visit) const {
    for (std::size_t i = 0; i < chunks_.list.size(); ++i) {
      if (chunks_.list[i].is_media())
        visit(chunks_.inputs[static_cast<std::size_t>(chunks_.list[i].input)], recording_.chunks[i]);
    }
  }

  void preprocessed(Result& r) const {
    PixelComparison comparison(gates_, model_.mmproj->metadata().require<std::vector<float>>("clip.vision.image_std"));
    for_media([&](const encoders::Input& input, const RecordedChunk& chunk) {
      std::size_t n = 0;
      for (const image::Planes& frame : input.frames) n += frame.rgb.size();
      comparison.add(input, recorded_floats(golden_, fmt::format("pre.{}", chunk.embd), n));
    });
    comparison.judge(r);
  }

  void embeddings(Result& r) {
    embeddings_.clear();
    std::vector<const encoders::Input*> inputs;
    for_media([&](const encoders::Input& input, const RecordedChunk&) { inputs.push_back(&input); });
    const auto shape = [&](std::size_t i) {
      return std::array{static_cast<int>(inputs[i]->frames.size()), inputs[i]->frames[0].width,
                        inputs[i]->frames[0].height};
    };
    Workspace ws(model_.device);
    for (std::size_t begin = 0, end; begin < inputs.size(); begin = end) {  // neighbours of equal shape in one batch
      for (end = begin + 1; end < inputs.size() && shape(end) == shape(begin);) ++end;
      ws.reset();
      const Tensor rows = model_.projector->encode(std::span(inputs).subspan(begin, end - begin), ws);
      for (std::int64_t i = 0; i < rows.rows; ++i)
        embeddings_.insert(embeddings_.end(), rows.row(i), rows.row(i) + rows.cols);
    }
    const auto width = static_cast<std::size_t>(model_.projector->text_width());
    std::size_t at = 0;
    for_media([&](const encoders::Input&, const RecordedChunk& chunk) {
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
    const std::int64_t width = model_.projector->text_width();
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

void MediaModel::open() {
  if (projector || !unsupported.empty()) return;
  mmproj = gguf::File::open(folder / "mmproj.gguf");
  const std::string_view type = encoders::projector_type_of(mmproj->metadata());
  if (!contains(encoders::projector_types(), type)) {
    unsupported = fmt::format("projector type '{}' is not supported yet", type);
    return;
  }
  auto vision = encoders::load_projector(*mmproj, device);
  vision->follow_reference();
  text = gguf::File::open(folder / "model.gguf");
  tokenizer = Tokenizer::load(text->metadata());
  const auto architecture = text->metadata().get_or<std::string_view>("general.architecture", "");
  if (contains(decoder::architectures(), architecture)) {
    decoder = std::make_unique<decoder::Decoder>(*text, device, decoder::Options{});
  } else {
    text_unsupported = fmt::format("architecture '{}' is not supported yet", architecture);
  }
  projector = std::move(vision);
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
