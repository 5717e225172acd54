#include "mtmd-cli/batch.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>

#include "encoders/audio/mel.h"
#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "mtmd-cli/flags.h"
#include "mtmd-cli/journal.h"
#include "mtmd-cli/progress.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/signals.h"
#include "mtmd/media/image_file.h"
#include "mtmd/media/sha256.h"
#include "mtmd/media/sound_file.h"

namespace mtmd::cli {
namespace fs = std::filesystem;

namespace {

std::string model_sha256(const Model& model) {
  media::Sha256 hash;
  for (const fs::path& path : model.file().paths()) hash.update(MappedFile(path).bytes());
  return hash.hex();
}

LoadedMedium decode_picture(const std::string& path, const std::string& bytes, std::string id) {
  const auto start = std::chrono::steady_clock::now();
  media::DecodedImage decoded = media::decode_image(std::as_bytes(std::span(bytes)), path == "-" ? "stdin" : path);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  return {{std::move(decoded.image), std::move(id), path, false}, took.count(), std::move(decoded.facts.warnings)};
}

class Batch {
 public:
  Batch(Console& console, Reader& reader, const std::vector<InputFlags::Item>& items, const OutputFlags& output,
        const BatchOptions& options)
      : console_(console),
        reader_(reader),
        items_(items),
        output_(output),
        options_(options),
        progress_(console, items.size()) {
    formats_ = output.formats.empty() ? std::vector<std::string>{"txt"} : output.formats;
    if (std::ranges::any_of(formats_, [](const std::string& f) { return f.starts_with("json"); }))
      sha256_ = model_sha256(reader.model());
    if (!output.folder.empty()) open_folder();
    if (!output.file.empty()) journal_.emplace(output.file + ".journal", keep_journal());
  }

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
  bool to_stdout() const { return output_.file.empty() && output_.folder.empty(); }
  bool keep_journal() const { return output_.resume || output_.retry_failed; }

  void open_folder() {
    std::error_code error;
    fs::create_directories(output_.folder, error);
    if (error) fail(ErrorCategory::output, "--out-dir {}: cannot make the folder: {}", output_.folder, error.message());
    journal_.emplace(fs::path(output_.folder) / "mtmd-journal.jsonl", true);
    stems_ = result_stems(output_.folder, items_);
  }

  fs::path result_path(std::size_t i, const std::string& format) const { return stems_[i].string() + "." + format; }

  void one(std::size_t i) {
    const std::string& path = items_[i].path;
    const RecordHead head{i, path, reader_.model().name(), sha256_};
    try {
      if (!stems_.empty() && output_.skip_existing && fs::exists(result_path(i, formats_[0])))
        return deliver(i, "", skipped_record(head, "its result exists"));
      const std::string bytes = read_bytes(path);
      const std::string content = media::sha256_hex(std::as_bytes(std::span(bytes)));
      const std::string settings = options_.settings + items_[i].prompt + reader_.model().fingerprint();
      const std::string key = content + "-" + media::sha256_hex(std::as_bytes(std::span(settings))).substr(0, 16);
      if (journal_ && keep_journal())
        if (const Json* old = journal_->find(key); settled(old)) return reuse(i, *old);
      refuse_overwriting(i);
      LoadedMedium picture = decode_picture(path, bytes, content);
      read_one(i, head, key, std::move(picture));
    } catch (const Error& e) {
      if (e.category() == ErrorCategory::output || e.category() == ErrorCategory::interrupted)
        throw;  // every other item would meet it too
      failed(i, head, e.what(), exit_code(e.category()));
    } catch (const std::bad_alloc&) {
      failed(i, head, path + ": not enough memory for this item", exit_code(ErrorCategory::resource));
    }
  }

  /// Does the journal say that nothing is left to do for this item?
  bool settled(const Json* old) const {
    if (!old) return output_.retry_failed;  // --retry-failed: only what is recorded as failed
    return (*old)["status"] == "ok";
  }

  void reuse(std::size_t i, const Json& old) {
    if (!stems_.empty()) {
      for (const std::string& format : formats_)
        if (!fs::exists(result_path(i, format)))
          write_file_atomically(result_path(i, format), render(old, format, false));
    }
    Json record = old;
    record["index"] = i;
    record["input"] = items_[i].path;
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

  void read_one(std::size_t i, const RecordHead& head, const std::string& key, LoadedMedium picture) {
    ReadOptions read = options_.read;
    if (!items_[i].prompt.empty()) read.prompt = items_[i].prompt;
    const bool live = to_stdout() && items_.size() == 1 && formats_[0] == "txt" && console_.stdout_is_terminal();
    const OnText show = [&](std::string_view text) {
      console_.result(text);
      console_.flush_result();
    };
    ReadResult result = reader_.read(std::move(picture.media), read, live ? show : OnText{});
    if (result.finish == FinishReason::cancelled) return;  // not finished: not recorded
    result.timings.decode = picture.decode_ms;
    result.timings.total += picture.decode_ms;
    result.warnings.insert(result.warnings.begin(), picture.warnings.begin(), picture.warnings.end());
    comment(head.input, result);
    if (live) console_.result("\n");
    deliver(i, key, ok_record(head, result), live);
  }

  void comment(const std::string& input, ReadResult& result) {
    for (const UsedMedia& m : result.media) {
      if (m.downscaled) {
        result.warnings.push_back(fmt::format("{}x{} was scaled down to {}x{} ({} tokens)", m.in.width, m.in.height,
                                              m.used.width, m.used.height, m.tokens));
        strict_ = true;
      }
      console_.detail("{}: {}x{} used at {}x{}, {} tokens in {} tiles", input, m.in.width, m.in.height, m.used.width,
                      m.used.height, m.tokens, m.tiles);
    }
    if (result.finish != FinishReason::stop) {
      result.warnings.push_back(fmt::format("the answer ended early: {}", name(result.finish)));
      strict_ = true;
    }
    for (const std::string& w : result.warnings) console_.warn("{}: {}", input, w);
    const Timings& t = result.timings;
    console_.detail(
        "{}: decode {:.0f} ms, preprocess {:.0f}, encode {:.0f}, prefill {:.0f} ({} tokens), generate {:.0f} ({} "
        "tokens), total {:.0f}",
        input, t.decode, t.preprocess, t.encode, t.prefill, result.n_prompt, t.generate, result.n_generated, t.total);
  }

  void failed(std::size_t i, const RecordHead& head, const std::string& why, int code) {
    console_.error("{}", why);
    if (failures_++ == 0) first_failure_ = code;
    all_same_ = all_same_ && code == first_failure_;
    deliver(i, "failed-" + head.input, failed_record(head, why));
  }

  void deliver(std::size_t i, const std::string& key, Json record, bool shown = false) {
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
    if (!output_.file.empty()) {
      write_file_atomically(output_.file, render_all(records_, formats_[0]));
      if (failures_ == 0) journal_->remove();
    }
    if (reused_ > 0) console_.info("{} of {} were done already", reused_, items_.size());
  }

  int status() const {
    if (failures_ > 0) {
      const bool all = failures_ == items_.size();
      return !all ? 3 : all_same_ ? first_failure_ : exit_code(ErrorCategory::failed);
    }
    return options_.strict && strict_ ? exit_code(ErrorCategory::strict) : 0;
  }

  Console& console_;
  Reader& reader_;
  const std::vector<InputFlags::Item>& items_;
  const OutputFlags& output_;
  const BatchOptions& options_;
  Progress progress_;
  std::vector<std::string> formats_;
  std::vector<fs::path> stems_;  ///< result files without their extension, with --out-dir
  std::optional<Journal> journal_;
  std::vector<Json> records_;
  std::string sha256_;
  std::size_t failures_ = 0, reused_ = 0;
  int first_failure_ = 0;
  bool all_same_ = true, strict_ = false, printed_ = false;
};

}  // namespace

namespace {

LoadedMedium decode_sound(const std::string& path, const std::string& bytes, const std::string& sha256) {
  const auto start = std::chrono::steady_clock::now();
  media::DecodedSound sound = media::decode_sound(std::as_bytes(std::span(bytes)), path);
  LoadedMedium result;
  result.media.name = path;
  result.media.id = sha256;
  result.media.sound = media::resample(sound.samples, sound.facts.rate, audio::kRate);
  result.warnings = std::move(sound.facts.warnings);
  result.decode_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace

LoadedMedium load_picture(const std::string& path) {
  const std::string bytes = read_bytes(path);
  return decode_picture(path, bytes, media::sha256_hex(std::as_bytes(std::span(bytes))));
}

LoadedMedium load_sound(const std::string& path) {
  const std::string bytes = read_bytes(path);
  return decode_sound(path, bytes, media::sha256_hex(std::as_bytes(std::span(bytes))));
}

LoadedMedium load_medium(const std::string& path) {
  const std::string bytes = read_bytes(path);
  const auto content = std::as_bytes(std::span(bytes));
  const std::string sha256 = media::sha256_hex(content);
  return media::is_sound(content) ? decode_sound(path, bytes, sha256) : decode_picture(path, bytes, sha256);
}

int run_batch(Console& console, Reader& reader, const std::vector<InputFlags::Item>& items, const OutputFlags& output,
              const BatchOptions& options) {
  return Batch(console, reader, items, output, options).run();
}

}  // namespace mtmd::cli
