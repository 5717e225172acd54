// Recorded language models (shared/conformance/README.md, "text"): tokens, logits and greedy continuations.
#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/decoder/decoder.h"
#include "engine/tokenizer/tokenizer.h"
#include "mtmd/conformance/conformance.h"
#include "mtmd/conformance/text_golden.h"
#include "mtmd/conformance/text_quantised.h"

namespace mtmd::conformance {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kSuffix = ".golden.gguf";

/// One golden being checked against one model.
class Case {
 public:
  Case(const fs::path& path, Device& device, const Sink& sink) : path_(path), device_(device), sink_(sink) {
    name_ = path.filename().string();
    name_.resize(name_.size() - kSuffix.size());
  }

  void run() {
    guarded("model", [&] {
      const auto recorded = model_of(path_);
      bool needed = !recorded;
      if (const auto quantised = read_quantised_recording(path_)) needed = quantise(*quantised, !recorded) && needed;
      if (recorded) {
        gguf::File file = gguf::File::open(*recorded);
        file.set_precision(Precision::f32);  // recorded values are compared at the full tolerance
        return check_model(file);
      }
      if (needed)
        report("model", Outcome::unsupported, {}, {},
               "neither its model nor one for the quantiser to start from is here");
    });
  }

 private:
  struct Mode {
    std::string_view name;
    TextRun run;
  };
  static inline const std::vector<Mode> kModes = {{"batched", {}}, {"token by token", {.pieces = {1}}}};

  /// Makes the quantised model that the golden describes and compares the tensors; `logits`: these, too. True when the
  /// model it starts from is not there.
  bool quantise(const QuantisedRecording& recording, bool logits) {
    bool missing = false;
    guarded("quantised tensors", [&] {
      const auto bytes = quantise_like(path_, recording);
      missing = !bytes;
      if (missing) return;
      gguf::File made = gguf::File::from_memory(*bytes, name_ + ", as quantised here");
      made.set_precision(Precision::f32);
      const QuantisedDifference d = compare_quantised(made, recording);
      report("tensor types", d.wrong_types.empty() ? Outcome::passed : Outcome::failed, {}, {}, d.wrong_types);
      const std::string identical = fmt::format("{} of {} tensors byte-identical", d.n_identical, d.n_tensors);
      report("tensor bytes", d.wrong_bytes.empty() ? Outcome::passed : Outcome::failed, {}, {},
             d.wrong_bytes.empty() ? identical : d.wrong_bytes);
      if (logits) check_model(made);
    });
    return missing;
  }

  void check_model(const gguf::File& file) {
    const auto architecture = file.metadata().require<std::string_view>("general.architecture");
    const auto known = decoder::architectures();
    if (std::find(known.begin(), known.end(), architecture) == known.end())
      return report("model", Outcome::unsupported, {}, {}, fmt::format("architecture '{}'", architecture));
    golden_ = read_text_golden(path_);
    weights_ = weight_class(file);
    guarded("tokens", [&] { check_tokens(file); });
    for (const Mode& mode : kModes) guarded(fmt::format("logits, {}", mode.name), [&] { check_logits(file, mode); });
    if (!golden_.logits_f32.empty()) guarded("logits, float activations", [&] { check_float_activations(file); });
  }

  /// Whatever goes wrong with a recorded value is that case's failure.
  template <class F>
  void guarded(const std::string& compared, F f) {
    try {
      f();
    } catch (const std::exception& e) {
      report(compared, Outcome::failed, {}, {}, e.what());
    }
  }

  void report(const std::string& compared, Outcome outcome, const Difference& d, const Gate& gate, std::string detail) {
    sink_({"text", name_, compared, outcome, d.worst, gate.worst, std::move(detail)});
  }

  void check_tokens(const gguf::File& file) {
    const auto tokenizer = Tokenizer::load(file.metadata());
    const auto got = tokenizer->encode(golden_.prompt, {golden_.add_special, golden_.parse_special});
    const auto at = std::mismatch(got.begin(), got.end(), golden_.tokens.begin(), golden_.tokens.end());
    const bool same = at.first == got.end() && at.second == golden_.tokens.end();
    report(
        "tokens", same ? Outcome::passed : Outcome::failed, {}, {},
        same ? "" : fmt::format("token {} of {} differs", at.second - golden_.tokens.begin(), golden_.tokens.size()));
    std::set<std::int32_t> ends;
    for (std::int32_t id = 0; id < tokenizer->size(); ++id)
      if (tokenizer->is_end_of_generation(id)) ends.insert(id);
    const bool same_ends =
        ends == std::set<std::int32_t>(golden_.end_of_generation.begin(), golden_.end_of_generation.end());
    report("end-of-generation tokens", same_ends ? Outcome::passed : Outcome::failed, {}, {},
           same_ends ? "" : fmt::format("{} of them here, {} recorded", ends.size(), golden_.end_of_generation.size()));
  }

  void check_logits(const gguf::File& file, const Mode& mode) {
    decoder::Decoder model(file, device_, {golden_.n_ctx, mode.run.n_ubatch});
    const TextAnswer got = answer(model, device_, golden_, mode.run);
    const Gate allowed = gate(weights_, mode.run.cache);
    const Difference d = compare(golden_.logits, got.logits, golden_.n_vocab);
    judge(fmt::format("logits, {}", mode.name), d, allowed);
    Difference worst = d;
    if (golden_.has_grid()) {
      const Difference image = compare(golden_.embd_logits, got.embd_logits, golden_.n_vocab);
      judge(fmt::format("image logits, {}", mode.name), image, allowed);
      worst.worst = std::max(d.worst, image.worst);
    }
    const bool exact = weights_ == WeightClass::f32 && !golden_.has_grid();
    const auto mismatch = first_greedy_mismatch(golden_, got, exact, worst.worst);
    report(fmt::format("greedy tokens, {}", mode.name), mismatch ? Outcome::failed : Outcome::passed, {}, {},
           mismatch
               ? fmt::format("step {}: {} instead of {}", *mismatch, got.greedy[*mismatch], golden_.greedy[*mismatch])
               : "");
  }

  /// Only the weights are quantised here: the oracle keeps activations in f32, as `logits_f32` was computed.
  void check_float_activations(const gguf::File& file) {
    const auto reference = make_device("reference");
    decoder::Decoder model(file, *reference, {golden_.n_ctx});
    const TextAnswer got = answer(model, *reference, golden_, {});
    judge("logits, float activations", compare(golden_.logits_f32, got.logits, golden_.n_vocab),
          gate(WeightClass::f32, DType::F32));
  }

  void judge(const std::string& compared, const Difference& d, const Gate& allowed) {
    std::string detail = fmt::format("KL {:.1e} (at most {:.0e})", d.kl, allowed.kl);
    if (allowed.rms > 0) detail += fmt::format(", rms {:.2g} (at most {:.2g})", d.rms, allowed.rms);
    report(compared, allowed.passes(d) ? Outcome::passed : Outcome::failed, d, allowed, detail);
  }

  const fs::path path_;
  Device& device_;
  const Sink& sink_;
  std::string name_;
  TextGolden golden_;
  WeightClass weights_ = WeightClass::f32;
};

std::vector<fs::path> goldens(const fs::path& path) {
  const auto is_golden = [](const fs::path& p) { return p.filename().string().ends_with(kSuffix); };
  std::vector<fs::path> found;
  if (is_golden(path) && fs::is_regular_file(path)) return {path};
  if (!fs::is_directory(path)) return {};
  for (const auto& entry : fs::directory_iterator(path))
    if (is_golden(entry.path())) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

void run_text(const fs::path& folder, Device& device, const Sink& sink) {
  for (const fs::path& path : goldens(folder)) Case(path, device, sink).run();
}

}  // namespace mtmd::conformance
