#include "mtmd-cli/batch.h"

#include <algorithm>
#include <future>
#include <new>
#include <stop_token>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "mtmd-cli/signals.h"
#include "mtmd/media/sha256.h"

namespace mtmd::cli {
namespace fs = std::filesystem;

std::optional<Json> Pieces::find(const std::string& key) const {
  if (!journal_ || !recalls_) return std::nullopt;
  const Json* known = journal_->find(name(key));
  return known ? std::optional(*known) : std::nullopt;
}

void Pieces::add(const std::string& key, const Json& piece) {
  if (journal_) journal_->add(name(key), piece);
}

namespace {

/// Empty when stopped or cancelled.
std::string model_sha256(const std::vector<fs::path>& paths, const std::stop_token& stop) {
  constexpr std::size_t kAtOnce = 16 << 20;
  media::Sha256 hash;
  for (const fs::path& path : paths) {
    const MappedFile file(path);
    for (auto rest = file.bytes(); !rest.empty(); rest = rest.subspan(std::min(kAtOnce, rest.size()))) {
      if (cancel_flag() || stop.stop_requested()) return "";
      hash.update(rest.first(std::min(kAtOnce, rest.size())));
    }
  }
  return hash.hex();
}

std::string short_hash(const std::string& text) {
  return media::sha256_hex(std::as_bytes(std::span(text))).substr(0, 16);
}

class Batch {
 public:
  Batch(Console& console, BatchJob& job, const std::vector<InputFlags::Item>& items, const OutputFlags& output,
        const BatchOptions& options)
      : console_(console),
        job_(job),
        items_(items),
        output_(output),
        options_(options),
        progress_(console, items.size()) {
    formats_ = output.formats.empty() ? std::vector<std::string>{"txt"} : output.formats;
    if (std::ranges::any_of(formats_, [](const std::string& f) { return f.starts_with("json"); }))
      sha256_ = std::async(std::launch::async, [this, paths = job_.model().file().paths()] {
        return model_sha256({paths.begin(), paths.end()}, stop_.get_token());
      });
    stems_ = output.stems(items);
    if (const fs::path path = output.journal(); !path.empty())
      journal_.emplace(path, keep_journal() || !output.folder.empty());
  }

  ~Batch() { stop_.request_stop(); }
  Batch(const Batch&) = delete;

  int run() {
    if (to_stdout() && formats_[0] == "json") console_.result("[\n");
    for (std::size_t i = 0; i < items_.size() && !cancel_flag(); ++i) {
      progress_.update(i, items_[i].path);
      one(i);
    }
    if (cancel_flag()) {
      console_.warn("interrupted: {} of {} done{}", records_.size(), items_.size(),
                    journal_ ? "; --resume goes on" : "");
      if (to_stdout() && formats_[0] == "json") console_.result("\n]\n");
      return interrupted_status();
    }
    finish();
    return status();
  }

 private:
  bool to_stdout() const { return output_.file.empty() && stems_.empty(); }
  bool keep_journal() const { return output_.resume || output_.retry_failed; }
  fs::path result_path(std::size_t i, const std::string& format) const { return stems_[i].string() + "." + format; }

  void one(std::size_t i) {
    const std::string& path = items_[i].path;
    const RecordHead head{i, path, job_.model().name()};
    try {
      if (!stems_.empty() && output_.skip_existing && fs::exists(result_path(i, formats_[0])))
        return deliver(i, "", skipped_record(head, "its result exists"));
      const std::string settings = short_hash(options_.settings + items_[i].prompt + job_.model().fingerprint());
      const std::string content = job_.open(path);
      // Of a pipe nothing is known before it has been read, so it is known by its name: never as done.
      const std::string key = (content.empty() ? "pipe" : content) + "-" + settings;
      if (keep_journal()) {
        const Json* old = content.empty() ? nullptr : journal_->find(key);
        if (old && (*old)["status"] == "ok") return reuse(i, *old);
        if (output_.retry_failed && !journal_->find(failure_key(head)))
          return deliver(i, "", skipped_record(head, "the journal does not record it as failed"));
      }
      refuse_overwriting(i);
      Pieces pieces(journal_ ? &*journal_ : nullptr, keep_journal(), settings);
      BatchItem item{items_[i], head, to_stdout() && items_.size() == 1 && formats_[0] == "txt", pieces, progress_};
      std::optional<BatchResult> result = job_.work(item);
      if (!result) return;  // not finished: not recorded
      strict_ = strict_ || result->cut_short;
      deliver(i, key, std::move(result->record), result->shown);
    } catch (const Error& e) {
      if (e.category() == ErrorCategory::output) throw;  // every other item would meet it too
      if (cancel_flag()) return;                         // what was interrupted did not fail
      failed(i, head, e.what(), exit_code(e.category()));
    } catch (const std::bad_alloc&) {
      failed(i, head, path + ": not enough memory for this item", exit_code(ErrorCategory::resource));
    }
  }

  static std::string failure_key(const RecordHead& head) { return "failed-" + head.input; }

  void reuse(std::size_t i, const Json& old) {
    if (!stems_.empty()) {
      for (const std::string& format : formats_)
        if (!fs::exists(result_path(i, format)))
          write_file_atomically(result_path(i, format), render(old, format, false));
    }
    Json record = old;
    record["index"] = i;
    record["input"] = items_[i].path;
    count(record);
    records_.push_back(std::move(record));
    ++reused_;
  }

  void refuse_overwriting(std::size_t i) const {
    if (stems_.empty() || output_.force || keep_journal()) return;
    for (const std::string& format : formats_)
      if (fs::exists(result_path(i, format)))
        fail(ErrorCategory::usage, "{}: exists already; --force replaces it, --resume and --skip-existing leave it",
             result_path(i, format).string());
  }

  void failed(std::size_t i, const RecordHead& head, const std::string& why, int code) {
    console_.error("{}", why);
    if (failures_++ == 0) first_failure_ = code;
    all_same_ = all_same_ && code == first_failure_;
    deliver(i, failure_key(head), failed_record(head, why));
  }

  void count(const Json& record) { partial_ += record.value("partial", false); }

  void deliver(std::size_t i, const std::string& key, Json record, bool shown = false) {
    count(record);
    if (sha256_.valid() && !sha256_.get().empty()) record["model"]["sha256"] = sha256_.get();
    if (!stems_.empty() && record["status"] == "ok")
      for (const std::string& format : formats_)
        write_file_atomically(result_path(i, format), render(record, format, false));
    if (to_stdout() && !shown) {
      const std::string text = render(record, formats_[0], items_.size() > 1);
      const bool array = formats_[0] == "json";
      if (!text.empty()) {
        if (printed_) console_.result(array ? ",\n" : formats_[0] == "jsonl" ? "" : "\n");
        console_.result(array ? std::string_view(text).substr(0, text.size() - 1) : std::string_view(text));
        console_.flush_result();
        printed_ = true;
      }
    }
    if (journal_ && !key.empty()) journal_->add(key, record);
    records_.push_back(std::move(record));
  }

  void finish() {
    if (to_stdout() && formats_[0] == "json") console_.result("\n]\n");
    if (!output_.file.empty()) write_file_atomically(output_.file, render_all(records_, formats_[0]));
    if (journal_ && output_.folder.empty() && failures_ == 0) journal_->remove();
    if (reused_ > 0) console_.info("{} of {} were done already", reused_, items_.size());
  }

  int status() const {
    if (failures_ > 0) {
      const bool all = failures_ == items_.size();
      return !all ? 3 : all_same_ ? first_failure_ : exit_code(ErrorCategory::failed);
    }
    if (partial_ > 0) return 3;
    return options_.strict && strict_ ? exit_code(ErrorCategory::strict) : 0;
  }

  Console& console_;
  BatchJob& job_;
  const std::vector<InputFlags::Item>& items_;
  const OutputFlags& output_;
  const BatchOptions& options_;
  Progress progress_;
  std::vector<std::string> formats_;
  std::vector<fs::path> stems_;  ///< result files without their extension; empty with -o and stdout
  std::optional<Journal> journal_;
  std::vector<Json> records_;
  std::stop_source stop_;
  std::shared_future<std::string> sha256_;  ///< of the model's files, found beside the first item
  std::size_t failures_ = 0, partial_ = 0, reused_ = 0;
  int first_failure_ = 0;
  bool all_same_ = true, strict_ = false, printed_ = false;
};

}  // namespace

int run_batch(Console& console, BatchJob& job, const std::vector<InputFlags::Item>& items, const OutputFlags& output,
              const BatchOptions& options) {
  return Batch(console, job, items, output, options).run();
}

}  // namespace mtmd::cli
