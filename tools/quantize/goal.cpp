#include "quantize/goal.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "engine/base/error.h"
#include "mtmd-cli/progress.h"
#include "mtmd-cli/signals.h"
#include "mtmd/model.h"
#include "mtmd/quality/type_search.h"
#include "quantize/goal_report.h"
#include "quantize/media_prompt.h"
#include "quantize/text_file.h"

namespace mtmd::cli {
namespace {

constexpr std::array<std::string_view, 7> kRecipes = {"Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M", "Q5_K_M", "Q6_K"};
constexpr int kAnswerTokens = 128;  ///< of an answer about a picture that is measured

using quality::OpenTensor;
using quality::TypeSearch;
using quantize::FileType;

/// What is open in a model, and what is not.
struct Field {
  std::vector<OpenTensor> open;
  std::map<std::string, std::string, std::less<>> names;  ///< in the source -> in the result
  std::uint64_t open_bytes = 0;                           ///< as planned
};

bool is_open(const quantize::PlannedTensor& t) {
  return t.choice.why == quantize::Choice::Why::recipe || t.choice.why == quantize::Choice::Why::fallback;
}

Field field_of(const quantize::Plan& plan, const gguf::File& file) {
  Field f;
  for (const quantize::PlannedTensor& t : plan.tensors) {
    if (!is_open(t)) continue;
    f.open.push_back({file.find(t.source->name), t.importance});
    f.names.emplace(t.source->name, t.name);
    f.open_bytes += t.bytes;
  }
  return f;
}

TypeSearch::Types types_of(const quantize::Plan& plan) {
  TypeSearch::Types types;
  for (const quantize::PlannedTensor& t : plan.tensors)
    if (is_open(t)) types.emplace(t.source->name, t.choice.type);
  return types;
}

/// The recipe whose base type most weights have.
const FileType* nearest(const TypeSearch& search, const TypeSearch::Types& types) {
  std::map<DType, std::int64_t> values;
  for (const auto& t : search.tensors())
    values[types.at(std::string(t.open.tensor->name))] += t.open.tensor->n_values();
  const FileType* best = &quantize::file_type("Q4_K_M");
  std::int64_t most = 0;
  for (const auto& [type, n] : values)
    for (const FileType& f : quantize::file_types())
      if (f.base == type && !f.copies() && n > most) best = &f, most = n;
  return best;
}

class Goal {
 public:
  Goal(Console& console, const GoalFlags& flags, const gguf::File& file, const std::string& input,
       const quantize::PlanOptions& options, int threads)
      : console_(console), flags_(flags), given_(file), options_(options), pool_(threads) {
    if (flags.evaluates()) load(input, threads);
    field_ = field_of(plan("Q4_K_M"), own());
    if (field_.open.empty()) fail(ErrorCategory::usage, "{}: no tensor is open: other options fix all types", input);
  }

  GoalFlags::Choice choose() {
    search_.emplace(field_.open, candidates(), flags_.sample, pool_, told("measuring types", field_.open.size()));
    const std::uint64_t budget = open_budget();
    const TypeSearch::Types types = best(budget);
    if (flags_.compare || !flags_.plot.empty()) compare(types);
    GoalFlags::Choice choice{nearest(*search_, types), {}};
    for (const auto& [name, type] : types) choice.types.emplace(field_.names.at(name), type);
    return choice;
  }

 private:
  const gguf::File& own() const { return model_ ? model_->file() : given_; }

  quantize::Plan plan(std::string_view recipe) const {
    quantize::PlanOptions o = options_;
    o.recipe.type = &quantize::file_type(recipe);
    return quantize::make_plan(own(), o);
  }

  void load(const std::string& input, int threads) {
    ModelOptions options{.model = input, .look_for_mmproj = !flags_.pictures.empty()};
    options.device_options.threads = threads;
    model_ = Model::load(options);
    quality::Windows windows;
    if (!flags_.text.empty())
      windows = {read_text_file(flags_.text), model_->tokenizer(), {.n_ctx = flags_.n_ctx, .max = flags_.chunks}};
    evaluator_.emplace(model_->file(), model_->device(), std::move(windows), passages(),
                       quality::ReaderOptions{.n_ctx = flags_.n_ctx});
  }

  /// Pictures with what the model itself answers.
  std::vector<quality::Passage> passages() {
    std::vector<quality::Passage> all;
    if (flags_.pictures.empty()) return all;
    const std::string question = media_question(model_, flags_.question);
    Session session(model_);
    GenerateOptions greedy;
    greedy.max_tokens = kAnswerTokens;
    greedy.sampling.temperature = 0;
    greedy.cancel = &cancel_flag();
    for (const std::string& path : flags_.pictures) {
      const Prompt prompt = media_prompt(console_, *model_, path, question);
      std::vector<Token> answer = session.generate(prompt, greedy).tokens;
      if (cancel_flag()) fail(ErrorCategory::interrupted, "interrupted at {}", path);
      if (model_->tokenizer().eos() >= 0 && std::ssize(answer) < kAnswerTokens)
        answer.push_back(model_->tokenizer().eos());
      all.push_back(quality::make_passage(*model_, prompt, {}, std::move(answer)));
    }
    return all;
  }

  std::vector<DType> candidates() const {
    std::vector<DType> types;
    for (const std::string& c : flags_.candidates) types.push_back(quantize::tensor_type(c, "--candidates"));
    if (types.empty()) types.assign(quality::default_candidates().begin(), quality::default_candidates().end());
    return types;
  }

  /// Bytes that the open tensors may take.
  std::uint64_t open_budget() const {
    const quantize::Plan p = plan("Q4_K_M");
    const std::uint64_t all = flags_.size.empty()
                                  ? static_cast<std::uint64_t>(flags_.bits * static_cast<double>(p.n_values) / 8)
                                  : byte_size(flags_.size, "--target-size");
    const std::uint64_t fixed = (flags_.size.empty() ? p.bytes : p.file_bytes()) - field_.open_bytes;
    const std::uint64_t least = fixed + search_->least_bytes();
    if (all < least)
      fail(ErrorCategory::usage,
           "{}: the smallest that these candidate types allow is {:.2f} bits per weight, a file of "
           "{:.1f} MiB",
           flags_.size.empty() ? fmt::format("--target-bpw {:g}", flags_.bits) : "--target-size " + flags_.size,
           8 * static_cast<double>(p.bytes - field_.open_bytes + search_->least_bytes()) /
               static_cast<double>(p.n_values),
           static_cast<double>(p.file_bytes() - field_.open_bytes + search_->least_bytes()) / 1048576.0);
    // Padding between tensors depends on the choice: 32 bytes each at most.
    const std::uint64_t padding = flags_.size.empty() ? 0 : 32 * field_.open.size();
    return std::max(all - fixed - std::min(all - fixed, padding), search_->least_bytes());
  }

  double bits_of(std::uint64_t open_bytes) const {
    double values = 0;
    for (const OpenTensor& t : field_.open) values += static_cast<double>(t.tensor->n_values());
    return 8 * static_cast<double>(open_bytes) / values;
  }

  void weigh(std::uint64_t open_bytes) {
    search_->weigh(*evaluator_, bits_of(open_bytes), pool_, told("weighing errors", field_.open.size()));
  }

  /// Without a measurement, the smallest sum of errors. With one, whatever measures best: errors weighed by what each
  /// tensor does alone, errors as they are, or a recipe that is no larger.
  TypeSearch::Types best(std::uint64_t open_bytes) {
    if (!evaluator_) return search_->choose(open_bytes);
    weigh(open_bytes);
    std::vector<TypeSearch::Types> all = {search_->choose(open_bytes), search_->choose(open_bytes, false)};
    for (const std::string_view recipe : kRecipes)
      if (auto types = types_of(plan(recipe)); search_->bytes(types) <= open_bytes) all.push_back(std::move(types));
    const auto divergence = [&](const TypeSearch::Types& types) {
      if (cancel_flag()) fail(ErrorCategory::interrupted, "interrupted while comparing choices");
      return quality::evaluate(*evaluator_, field_.open, types, pool_).kld.value;
    };
    return *std::ranges::min_element(all, {}, divergence);
  }

  quality::OnTensor told(std::string_view what, std::size_t total) {
    auto progress = std::make_shared<Progress>(console_, total);
    return [progress, what](std::size_t done, std::size_t, std::string_view tensor) {
      progress->update(done, fmt::format("{}: {}", what, tensor));
      return !cancel_flag();
    };
  }

  GoalPoint point(std::string name, const TypeSearch::Types& types, const quantize::Plan& base) {
    const quality::DivergenceReport r = quality::evaluate(*evaluator_, field_.open, types, pool_);
    const std::uint64_t bytes = base.bytes - field_.open_bytes + search_->bytes(types);
    return {std::move(name), bytes, 8 * static_cast<double>(bytes) / static_cast<double>(base.n_values), r};
  }

  /// Every recipe, and a choice of the same size beside it.
  void compare(const TypeSearch::Types& asked) {
    const quantize::Plan base = plan("Q4_K_M");
    GoalComparison c{.model = own().metadata().file(),
                     .text = flags_.text.empty() ? fmt::format("{} pictures", flags_.pictures.size()) : flags_.text};
    c.chosen.push_back(point("asked for", asked, base));
    for (const std::string_view recipe : kRecipes) {
      if (cancel_flag()) fail(ErrorCategory::interrupted, "interrupted before {}", recipe);
      const quantize::Plan p = plan(recipe);
      const TypeSearch::Types types = types_of(p);
      c.recipes.push_back(point(std::string(recipe), types, base));
      const std::uint64_t bytes = search_->bytes(types);
      if (bytes < search_->least_bytes()) continue;
      c.chosen.push_back(point(fmt::format("as large as {}", recipe), best(bytes), base));
    }
    show(console_, c, flags_.plot);
  }

  Console& console_;
  const GoalFlags& flags_;
  const gguf::File& given_;
  const quantize::PlanOptions& options_;
  ThreadPool pool_;
  std::shared_ptr<const Model> model_;
  std::optional<quality::Evaluator> evaluator_;
  Field field_;
  std::optional<TypeSearch> search_;
};

}  // namespace

std::uint64_t byte_size(const std::string& text, std::string_view option) {
  char* end = nullptr;
  const double n = std::strtod(text.c_str(), &end);
  std::string unit(end);
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (unit.ends_with("IB")) unit.resize(unit.size() - 2);
  if (unit.ends_with("B")) unit.resize(unit.size() - 1);
  const int shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : unit == "T" ? 40 : -1;
  const double bytes = shift < 0 ? 0 : std::ldexp(n, shift);
  if (end == text.c_str() || !(bytes >= 1 && bytes < 9e18))
    fail(ErrorCategory::usage, "{} {}: expected a size such as 700M or 3.5G", option, text);
  return static_cast<std::uint64_t>(bytes);
}

void GoalFlags::add(CLI::App& app) {
  app.add_option("--target-bpw", bits, "instead of TYPE: types chosen by measured error, so many bits per weight")
      ->type_name("BITS")
      ->check(CLI::Range(0.5, 32.0));
  app.add_option("--target-size", size, "the same for a file of this size, e.g. 700M or 3.5G")->type_name("SIZE");
  app.add_option("--eval-text", text, "weigh each tensor's error by what it does to the answers on this text")
      ->type_name("FILE");
  app.add_option("--eval-image", pictures, "the same on the model's answers about these pictures")->type_name("FILE");
  app.add_option("--eval-prompt", question, "what is asked about them (default: the model's own question)")
      ->type_name("TEXT");
  app.add_option("--eval-ctx", n_ctx, "tokens per window of the text")
      ->check(CLI::Range(8, 1 << 20))
      ->capture_default_str();
  app.add_option("--eval-chunks", chunks, "windows of the text")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  app.add_option("--candidates", candidates, "types to choose from (default: K, IQ, 32-blocks, Q8_0, F16)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("TYPE,…");
  app.add_option("--sample", sample, "values per tensor on which errors are measured")
      ->check(CLI::Range(std::int64_t{256}, std::int64_t{1} << 40))
      ->capture_default_str();
  app.add_flag("--compare", compare,
               "with --eval-text: size and divergence of the recipes and of choices of their sizes");
  app.add_option("--plot", plot, "the comparison as an SVG chart")->type_name("FILE");
}

std::string GoalFlags::label() const { return size.empty() ? fmt::format("{:g}bpw", bits) : size; }

void GoalFlags::check() const {
  if (bits > 0 && !size.empty()) fail(ErrorCategory::usage, "--target-bpw and --target-size: give one of them");
  if (!size.empty()) byte_size(size, "--target-size");
  if (!given() && (evaluates() || !plot.empty() || compare || !candidates.empty()))
    fail(ErrorCategory::usage,
         "--eval-text, --eval-image, --candidates, --compare and --plot go with --target-bpw or --target-size");
  if (!evaluates() && (compare || !plot.empty()))
    fail(ErrorCategory::usage, "--compare and --plot measure on a text or pictures: give --eval-text or --eval-image");
  for (const std::string& c : candidates) quantize::tensor_type(c, "--candidates");
}

GoalFlags::Choice GoalFlags::choose(Console& console, const gguf::File& file, const std::string& input,
                                    const quantize::PlanOptions& options, int threads) const {
  if (evaluates() && !options.prune_layers.empty())
    fail(ErrorCategory::usage,
         "--eval-text and --eval-image: the model is measured whole; leave out --prune-layers, or prune first");
  return Goal(console, *this, file, input, options, threads).choose();
}

}  // namespace mtmd::cli
