// mtmd quantize: models and encoders into smaller types. Options and recipes are llama-quantize's.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/error.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/signals.h"
#include "mtmd-cli/verb.h"
#include "mtmd/model.h"
#include "mtmd/quantize/check.h"
#include "mtmd/quantize/estimate.h"
#include "quantize/quantize_flags.h"
#include "quantize/quantize_report.h"

namespace mtmd::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// Bytes done, rate and time left.
class QuantizeProgress {
 public:
  QuantizeProgress(Console& console, std::string what) : console_(console), what_(std::move(what)) {}
  ~QuantizeProgress() { console_.status_line(""); }

  void operator()(std::uint64_t done, std::uint64_t total) {
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
    const double left = rate > 0 ? static_cast<double>(total - done) / rate : 0;
    const int percent = total > 0 ? static_cast<int>(100 * done / total) : 100;
    switch (console_.progress) {
      case ProgressMode::none:
        return;
      case ProgressMode::json:
        return console_.info("{}", dump({{"progress",
                                          {{"item", what_},
                                           {"done_bytes", done},
                                           {"total_bytes", total},
                                           {"bytes_per_second", rate},
                                           {"seconds", seconds},
                                           {"seconds_left", left}}}}));
      case ProgressMode::plain:
        if (done < total && now - last_ < std::chrono::seconds(2)) return;
        last_ = now;
        return console_.info("{}: {} %, {}/s, {} left", what_, percent, size(rate), readable_seconds(left));
      case ProgressMode::automatic: {
        constexpr int kWidth = 24;
        const auto filled = static_cast<std::size_t>(kWidth * percent / 100);
        console_.status_line(fmt::format("[{}{}] {} %  {}/s  {} left  {}", std::string(filled, '#'),
                                         std::string(kWidth - filled, '.'), percent, size(rate), readable_seconds(left),
                                         what_.substr(0, 60)));
      }
    }
  }

 private:
  static std::string size(double bytes) { return readable_bytes(static_cast<std::uint64_t>(bytes)); }

  Console& console_;
  std::string what_;
  Clock::time_point start_ = Clock::now(), last_ = {};
};

class QuantizeCommand {
 public:
  QuantizeFlags flags;

  void run(Console& console) {
    // Beyond a limit on file sizes a write fails, and is reported, instead of ending the program.
    std::signal(SIGXFSZ, SIG_IGN);
    const QuantizeRequest request = flags.request();
    options_ = flags.plan_options();
    importance_ = flags.importance();
    options_.importance = &importance_;
    if (!flags.out_dir.empty() && !flags.dry_run) make_folder();
    Json all = Json::array();
    std::set<int> failures;
    std::size_t n_failed = 0;
    for (const std::string& input : request.inputs) try {
        one(console, request, input, all);
      } catch (const Error& e) {
        if (request.inputs.size() == 1 || e.category() == ErrorCategory::interrupted) throw;
        console.error("{}", e.what());
        all.push_back({{"input", input}, {"status", "failed"}, {"error", e.what()}});
        failures.insert(exit_code(e.category()));
        ++n_failed;
      }
    if (flags.json) console.result(dump(all, 2) + "\n");
    if (n_failed > 0)
      console.status = n_failed == request.inputs.size() && failures.size() == 1 ? *failures.begin() : 3;
  }

 private:
  void make_folder() const {
    std::error_code error;
    fs::create_directories(flags.out_dir, error);
    if (error) fail(ErrorCategory::output, "--out-dir {}: {}", flags.out_dir, error.message());
  }

  /// All types of one input, in one pass.
  void one(Console& console, const QuantizeRequest& request, const std::string& input, Json& all) {
    const gguf::File file = gguf::File::open(input);
    std::vector<quantize::Plan> plans;
    std::vector<fs::path> paths;
    std::vector<const quantize::FileType*> types = request.types;
    if (flags.goal.given()) {
      options_.recipe.assigned.clear();
      GoalFlags::Choice choice = flags.goal.choose(console, file, input, options_, request.threads);
      options_.recipe.assigned = std::move(choice.types);
      types = {choice.type};
    }
    for (const quantize::FileType* type : types) {
      const fs::path path = flags.target(request, input, *type);
      options_.recipe.type = type;
      quantize::Plan plan = quantize::make_plan(file, options_);
      if (!flags.dry_run && !free_to_write(console, {&plan, path}, all, input)) continue;
      for (const std::string& w : plan.warnings) console.warn("{}: {}", type->name, w);
      plans.push_back(std::move(plan));
      paths.push_back(path);
    }
    if (plans.empty()) return;
    std::vector<quantize::Target> targets;
    for (std::size_t i = 0; i < plans.size(); ++i) targets.push_back({&plans[i], paths[i]});
    if (flags.dry_run) return show_plan(console, request, file, input, targets, all);
    write(console, request, file, input, targets, all);
  }

  /// False: it exists and is to be skipped.
  bool free_to_write(Console& console, const quantize::Target& target, Json& all, const std::string& input) const {
    for (const fs::path& p : quantize::target_files(target)) {
      std::error_code ignored;
      if (flags.force || !fs::exists(p, ignored) || !fs::is_regular_file(p, ignored)) continue;
      if (!flags.skip_existing && fs::equivalent(p, input, ignored)) continue;  // the job says what is wrong
      if (!flags.skip_existing)
        fail(ErrorCategory::output, "{}: exists already; --force replaces it, --skip-existing leaves it", p.string());
      console.info("{}: exists, skipped", p.string());
      all.push_back({{"input", input}, {"output", p.string()}, {"status", "skipped"}});
      return false;
    }
    return true;
  }

  static std::vector<const quantize::Plan*> plans_of(std::span<const quantize::Target> targets) {
    std::vector<const quantize::Plan*> plans;
    for (const quantize::Target& t : targets) plans.push_back(t.plan);
    return plans;
  }

  void show_plan(Console& console, const QuantizeRequest& request, const gguf::File& file, const std::string& input,
                 std::span<const quantize::Target> targets, Json& all) const {
    const auto plans = plans_of(targets);
    QuantizeCosts costs;
    costs.memory_bytes = quantize::memory_budget(plans, request.threads, flags.memory_limit()).bytes;
    costs.seconds = quantize::estimate_seconds(file, plans, request.threads);
    for (const quantize::Target& t : targets) costs.disk_bytes += t.plan->file_bytes();
    for (const quantize::Target& t : targets) {
      if (!flags.json) {
        console.result(plan_text(input, t.path.string(), *t.plan));
        continue;
      }
      Json j = plan_json(input, t.path.string(), *t.plan);
      j.update(costs_json(costs));  // of the one pass that makes all types
      all.push_back(std::move(j));
    }
    if (!flags.json) console.result(costs_text(costs));
  }

  quantize::JobOptions job_options(Console& console, const QuantizeRequest& request, const gguf::File& file) const {
    quantize::JobOptions o;
    o.threads = request.threads;
    o.max_memory = flags.memory_limit();
    o.resume = flags.resume;
    o.cancel = &cancel_flag();
    if (is_mmproj(file) && !flags.no_check)
      o.check = [&console, n = request.threads](const quantize::Plan& plan, const fs::path& path) {
        const std::string why = quantize::check_mmproj(path, n);
        if (!why.empty()) console.warn("{}: not tried on a picture: {}", plan.type->name, why);
      };
    return o;
  }

  void write(Console& console, const QuantizeRequest& request, const gguf::File& file, const std::string& input,
             std::span<const quantize::Target> targets, Json& all) const {
    quantize::JobOptions options = job_options(console, request, file);
    QuantizeProgress progress(console, fs::path(input).filename().string());
    if (console.progress != ProgressMode::automatic || console.stderr_is_terminal())
      options.progress = [&](std::uint64_t done, std::uint64_t total) { progress(done, total); };
    const quantize::JobReport report = quantize::run_job(file, targets, options);
    for (const std::string& w : report.warnings) console.warn("{}", w);
    if (report.n_resumed > 0) console.info("{} tensors were there already", report.n_resumed);
    for (const quantize::Target& t : targets) {
      console.info("{}: {} -> {}, {:.2f} bits per weight", t.path.string(), readable_bytes(t.plan->source_bytes),
                   readable_bytes(t.plan->bytes), t.plan->bits_per_weight());
      all.push_back({{"input", input},
                     {"output", t.path.string()},
                     {"status", "ok"},
                     {"type", t.plan->type->name},
                     {"bytes_in", t.plan->source_bytes},
                     {"bytes", t.plan->bytes},
                     {"file_bytes", t.plan->file_bytes()},
                     {"bits_per_weight", t.plan->bits_per_weight()},
                     {"n_fallback", t.plan->n_fallback},
                     {"n_resumed", report.n_resumed},
                     {"seconds", report.seconds},
                     {"buffer_bytes", report.memory},
                     {"warnings", t.plan->warnings}});
    }
    console.detail("{} in {}: {}/s", readable_bytes(report.source_bytes), readable_seconds(report.seconds),
                   readable_bytes(static_cast<std::uint64_t>(static_cast<double>(report.source_bytes) /
                                                             std::max(report.seconds, 1e-6))));
  }

  quantize::PlanOptions options_;
  quantize::ImportanceWeights importance_;
};

std::string type_list() {
  std::string text = "Types, by size (bits per weight of a model of 8 billion weights):\n";
  for (const quantize::FileType& t : quantize::file_types())
    text += t.copies() ? fmt::format("  {:<10} {}\n", t.name, t.note)
                       : fmt::format("  {:<10} {} (or {})\n", t.name, t.note, t.number());
  return text + "Q3_K, Q4_K and Q5_K stand for Q3_K_M, Q4_K_M and Q5_K_M.";
}

}  // namespace

void add_quantize(CLI::App& app, Console& console) {
  auto command = std::make_shared<QuantizeCommand>();
  auto* sub = app.add_subcommand("quantize", "models and encoders into smaller types");
  sub->footer(
      "Examples:\n"
      "  mtmd quantize model-f16.gguf model-q4.gguf Q4_K_M\n"
      "  mtmd quantize model-f16.gguf small/ Q8_0,Q4_K_M,IQ3_M --imatrix model.imatrix.gguf   one pass, three files\n"
      "  mtmd quantize models/*-f16.gguf Q4_K_M --out-dir small                               many models\n"
      "  mtmd quantize mmproj-f16.gguf mmproj-q8.gguf Q8_0                                    an encoder\n"
      "  mtmd quantize model-f16.gguf Q4_K_M --dry-run                                        sizes, nothing written\n"
      "  mtmd quantize model-f16.gguf out.gguf Q4_K_M --tensor-type 'ffn_down=q6_k' --output-tensor-type q8_0\n"
      "  mtmd quantize model-f16.gguf out.gguf --target-bpw 4.5 --imatrix i.gguf --eval-text t.txt  by measured error\n"
      "OUT may hold {type}; without OUT the results are called ggml-model-TYPE.gguf and lie beside IN.\n" +
      type_list());
  command->flags.add(*sub);
  sub->callback([command, &console] { command->run(console); });
}

}  // namespace mtmd::cli
