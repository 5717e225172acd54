#include "mtmd/quantize/job.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "engine/base/checked.h"
#include "engine/base/error.h"
#include "engine/base/thread_pool.h"
#include "mtmd/quantize/chunk.h"
#include "mtmd/quantize/part_file.h"
#include "mtmd/quantize/slots.h"
#include "mtmd/quantize/source.h"

namespace mtmd::quantize {
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kChunkValues = 1 << 17;  ///< half a megabyte of floats stays in the second-level cache
constexpr std::uint64_t kReadAhead = std::uint64_t{16} << 20;

/// Where the bytes of one plan go.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual bool has(const PlannedTensor&) const { return false; }
  virtual void write(const PlannedTensor& t, std::uint64_t at, std::span<const std::byte> bytes) = 0;
  virtual void complete(const PlannedTensor&) {}
};

class MemorySink : public Sink {
 public:
  explicit MemorySink(const Plan& plan) : bytes_(plan.parts.at(0).bytes) {
    std::ranges::copy(plan.parts[0].header, bytes_.begin());
  }
  void write(const PlannedTensor& t, std::uint64_t at, std::span<const std::byte> bytes) override {
    std::memcpy(bytes_.data() + t.offset + at, bytes.data(), bytes.size());
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class FileSink : public Sink {
 public:
  FileSink(const Target& target, bool resume) : plan_(*target.plan) {
    const std::vector<fs::path> paths = target_files(target);
    for (std::size_t i = 0; i < paths.size(); ++i) {
      parts_.push_back(
          std::make_unique<PartFile>(paths[i], fmt::format("{} {}", plan_.identity, i), resume, plan_.parts[i].bytes));
      parts_.back()->write(0, plan_.parts[i].header);
    }
  }
  bool has(const PlannedTensor& t) const override { return parts_[t.part]->has(number(t)); }
  void write(const PlannedTensor& t, std::uint64_t at, std::span<const std::byte> bytes) override {
    parts_[t.part]->write(t.offset + at, bytes);
  }
  void complete(const PlannedTensor& t) override { parts_[t.part]->complete(number(t)); }

  void commit(std::span<const std::string> hashes, const JobOptions& options) {
    for (std::size_t i = 0; i < parts_.size(); ++i)
      for (const auto& [at, source] : hash_places(plan_.parts[i].header, hashes.size()))
        parts_[i]->write(at, std::as_bytes(std::span(hashes[source])));
    for (const auto& p : parts_) p->sync();
    if (options.check && parts_.size() == 1) options.check(plan_, parts_[0]->temporary());
    for (const auto& p : parts_) p->commit();
  }
  void discard() {
    for (const auto& p : parts_) p->discard();
  }
  void report(JobReport& r) const {
    for (const auto& p : parts_) {
      r.n_resumed += p->n_resumed();
      if (p->other_run())
        r.warnings.push_back("--resume: what was begun came from another source or other options; starting afresh");
    }
  }

 private:
  std::size_t number(const PlannedTensor& t) const { return static_cast<std::size_t>(&t - plan_.tensors.data()); }

  const Plan& plan_;
  std::vector<std::unique_ptr<PartFile>> parts_;
};

/// One tensor in all outputs. The plans may choose different types, but have the tensors of one source.
struct Work {
  const gguf::TensorInfo* source = nullptr;
  std::vector<std::pair<Sink*, const PlannedTensor*>> outputs;
  bool best = false;
  std::int64_t first_chunk = 0, rows_per_chunk = 1, n_chunks = 0;
  std::atomic<std::int64_t> left = 0;
};

struct Output {
  Sink* sink = nullptr;
  const Plan* plan = nullptr;
};

std::vector<std::unique_ptr<Work>> list_work(std::span<const Output> outputs, std::int64_t chunk_values) {
  std::map<const gguf::TensorInfo*, std::unique_ptr<Work>> by_tensor;
  for (const Output& o : outputs)
    for (const PlannedTensor& t : o.plan->tensors) {
      auto& w = by_tensor[t.source];
      if (!w) w = std::make_unique<Work>();
      w->source = t.source;
      w->best = o.plan->best;
      if (!o.sink->has(t)) w->outputs.emplace_back(o.sink, &t);
    }
  std::vector<std::unique_ptr<Work>> list;
  for (auto& [tensor, w] : by_tensor) list.push_back(std::move(w));
  // In the order of the source's files: disks and the hash like it.
  std::ranges::sort(list, {}, [](const auto& w) { return std::pair(w->source->file, w->source->offset); });
  std::int64_t chunk = 0;
  for (auto& w : list) {
    const std::int64_t columns = w->source->shape.back(), rows = w->source->n_values() / columns;
    // Outputs of the same type next to each other: encoded once.
    std::ranges::stable_sort(w->outputs, {}, [](const auto& o) { return o.second->choice.type; });
    w->rows_per_chunk = std::clamp<std::int64_t>(chunk_values / columns, 1, rows);
    w->n_chunks = w->outputs.empty() ? 0 : ceil_div(rows, w->rows_per_chunk);
    w->left = w->n_chunks;
    w->first_chunk = chunk;
    chunk += w->n_chunks;
  }
  return list;
}

/// The pass over the source.
class Pass {
 public:
  Pass(const gguf::File& file, std::span<const Output> outputs, const Budget& budget, const JobOptions& options,
       bool mapped)
      : name_(file.metadata().file()),
        options_(options),
        source_(file, mapped),
        hash_(source_, file.paths().size()),
        work_(list_work(outputs, budget.chunk_values)),
        running_(std::max(1, budget.workers - (budget.workers > 1))),
        pool_(budget.workers) {
    for (const Output& o : outputs) hashing_ |= !mapped && !hash_places(o.plan->parts[0].header, 1).empty();
    for (const auto& w : work_)
      if (w->n_chunks > 0) total_ += w->source->data.size();
  }

  void run() {
    const std::int64_t n = work_.empty() ? 0 : work_.back()->first_chunk + work_.back()->n_chunks;
    if (options_.progress) options_.progress(0, total_);
    pool_.parallel_for(n, [&](std::int64_t chunk) { do_chunk(chunk); });
    if (options_.progress) options_.progress(total_, total_);
  }
  std::vector<std::string> hashes() { return hashing_ ? hash_.finish() : std::vector<std::string>{}; }

 private:
  void do_chunk(std::int64_t chunk) {
    if (options_.cancel && *options_.cancel)
      fail(ErrorCategory::interrupted, "{}: interrupted; --resume goes on where this stopped", name_);
    const auto after = std::ranges::upper_bound(work_, chunk, {}, [](const auto& w) { return w->first_chunk; });
    Work& w = **std::prev(after);  // of several that begin here the last one has chunks
    const std::int64_t total_rows = w.source->n_values() / w.source->shape.back();
    const std::int64_t first = (chunk - w.first_chunk) * w.rows_per_chunk;
    const Rows rows{first, std::min(w.rows_per_chunk, total_rows - first)};
    const std::uint64_t bytes = row_bytes(w.source->type, rows.count * w.source->shape.back());
    const std::uint64_t end =
        w.source->offset + row_bytes(w.source->type, (rows.first + rows.count) * w.source->shape.back());

    thread_local ChunkCoder coder;
    read_ahead(w.source->file, end);
    coder.read(source_, *w.outputs.front().second, rows);
    // One worker more than cores: while one waits for the disk the others have the cores.
    {
      const Slots::Hold slot(running_);
      for (const auto& [sink, tensor] : w.outputs) {
        const std::span<const std::byte> out = coder.encode(*tensor, rows, w.best, name_);
        sink->write(*tensor, row_bytes(tensor->choice.type, first * tensor->columns()), out);
      }
      if (hashing_) hash_.passed(w.source->file, end);
    }
    if (w.left.fetch_sub(1) == 1)
      for (const auto& [sink, tensor] : w.outputs) sink->complete(*tensor);
    advance(bytes);
  }

  void read_ahead(std::size_t file, std::uint64_t at) {
    std::uint64_t asked = asked_.load();
    if (file == asked_file_ && at + kReadAhead / 2 < asked) return;
    asked_file_ = file;
    asked_ = at + kReadAhead;
    source_.expect(file, at, kReadAhead);
  }

  void advance(std::uint64_t bytes) {
    const std::uint64_t done = done_.fetch_add(bytes) + bytes;
    if (!options_.progress) return;
    const std::unique_lock lock(progress_, std::try_to_lock);
    const auto now = std::chrono::steady_clock::now();
    if (!lock.owns_lock() || now - last_progress_ < std::chrono::milliseconds(200)) return;
    last_progress_ = now;
    options_.progress(done, total_);
  }

  const std::string name_;
  const JobOptions& options_;
  Source source_;
  SourceHash hash_;
  std::vector<std::unique_ptr<Work>> work_;
  Slots running_;
  ThreadPool pool_;
  bool hashing_ = false;
  std::uint64_t total_ = 0;
  std::atomic<std::uint64_t> done_{0}, asked_{0};
  std::atomic<std::size_t> asked_file_{0};
  std::mutex progress_;
  std::chrono::steady_clock::time_point last_progress_;
};

/// Renaming over the source would destroy what was asked to be kept.
void refuse_own_source(const gguf::File& file, const fs::path& target) {
  std::error_code error;
  for (const fs::path& source : file.paths())
    if (fs::equivalent(source, target, error))
      fail(ErrorCategory::usage, "{}: is the source itself{}; give another name", target.string(),
           source == target ? "" : fmt::format(" ({})", source.string()));
}

void refuse_doubles(std::span<const Target> targets) {
  std::vector<fs::path> all;
  for (const Target& t : targets)
    for (const fs::path& p : target_files(t)) all.push_back(fs::weakly_canonical(p));
  std::ranges::sort(all);
  if (const auto twice = std::ranges::adjacent_find(all); twice != all.end())
    fail(ErrorCategory::usage, "{}: two results would have this name", twice->string());
}

}  // namespace

std::vector<fs::path> target_files(const Target& target) {
  const std::size_t n = target.plan->parts.size();
  if (n == 1) return {target.path};
  std::string stem = target.path.string();
  if (stem.ends_with(".gguf")) stem.resize(stem.size() - 5);
  std::vector<fs::path> files;
  for (std::size_t i = 0; i < n; ++i) files.emplace_back(fmt::format("{}-{:05}-of-{:05}.gguf", stem, i + 1, n));
  return files;
}

Budget memory_budget(std::span<const Plan* const> plans, int threads, std::uint64_t max_memory) {
  std::int64_t longest = 1;
  std::uint64_t fixed = std::uint64_t{16} << 20;  // the program itself, headers of the source
  for (const Plan* p : plans) {
    for (const PlannedTensor& t : p->tensors) longest = std::max(longest, t.columns());
    for (const Plan::Part& part : p->parts) fixed += part.header.size();
  }
  if (threads <= 0) threads = physical_cores();
  const auto need = [&](int workers, std::int64_t values) {
    return fixed + static_cast<std::uint64_t>(workers) * chunk_memory(static_cast<std::uint64_t>(values));
  };
  Budget b{threads > 1 ? threads + 1 : 1, std::max(longest, kChunkValues), 0};
  if (max_memory > 0 && need(b.workers, b.chunk_values) > max_memory) b.chunk_values = longest;
  while (max_memory > 0 && need(b.workers, b.chunk_values) > max_memory && b.workers > 1) --b.workers;
  b.bytes = need(b.workers, b.chunk_values);
  if (max_memory > 0 && b.bytes > max_memory)
    fail(ErrorCategory::resource, "--max-memory {}: rows of {} values need {} bytes at least", max_memory, longest,
         b.bytes);
  return b;
}

JobReport run_job(const gguf::File& file, std::span<const Target> targets, const JobOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<const Plan*> plans;
  for (const Target& t : targets) {
    plans.push_back(t.plan);
    for (const fs::path& p : target_files(t)) refuse_own_source(file, p);
  }
  refuse_doubles(targets);
  const Budget budget = memory_budget(plans, options.threads, options.max_memory);
  JobReport report;
  report.memory = budget.bytes;
  std::vector<std::unique_ptr<FileSink>> sinks;
  std::vector<Output> outputs;
  for (const Target& t : targets) {
    sinks.push_back(std::make_unique<FileSink>(t, options.resume));
    sinks.back()->report(report);
    outputs.push_back({sinks.back().get(), t.plan});
    report.written_bytes += t.plan->file_bytes();
  }
  try {
    Pass pass(file, outputs, budget, options, false);
    pass.run();
    const std::vector<std::string> hashes = pass.hashes();
    for (const auto& s : sinks) s->commit(hashes, options);
  } catch (const Error& e) {
    // What a later run can finish stays; a source that cannot be stored never will be.
    if (e.category() == ErrorCategory::model)
      for (const auto& s : sinks) s->discard();
    throw;
  }
  report.source_bytes = file.file_bytes();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

std::vector<std::byte> to_memory(const gguf::File& file, const Plan& plan, int threads) {
  MemorySink sink(plan);
  const Plan* plans[] = {&plan};
  const Output outputs[] = {{&sink, &plan}};
  const JobOptions options;
  Pass pass(file, outputs, memory_budget(plans, threads, 0), options, true);
  pass.run();
  return sink.take();
}

}  // namespace mtmd::quantize
