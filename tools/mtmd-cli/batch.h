// Many items, one load of the model: a bad item never stops the rest, a killed run can be resumed.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "mtmd-cli/console.h"
#include "mtmd-cli/inputs.h"
#include "mtmd-cli/journal.h"
#include "mtmd-cli/output.h"
#include "mtmd-cli/progress.h"
#include "mtmd-cli/record.h"
#include "mtmd/model.h"

namespace mtmd::cli {

/// What is finished of an item before the item is: kept in the journal, so that a killed run repeats nothing.
class Pieces {
 public:
  /// Without a journal nothing is kept; nothing is recalled unless `recalls`. `scope`: everything but the key that a
  /// piece depends on.
  Pieces(Journal* journal, bool recalls, std::string scope)
      : journal_(journal), recalls_(recalls), scope_(std::move(scope)) {}
  std::optional<Json> find(const std::string& key) const;
  void add(const std::string& key, const Json& piece);

 private:
  std::string name(const std::string& key) const { return "piece-" + scope_ + "-" + key; }
  Journal* journal_;
  bool recalls_;
  std::string scope_;
};

/// The item that a job works on.
struct BatchItem {
  const InputFlags::Item& input;
  RecordHead head;
  bool streams;  ///< its text alone goes to stdout as plain text: it may be written there as it comes
  Pieces& pieces;
  Progress& progress;
};

struct BatchResult {
  Json record;             ///< status "ok"; "partial": true where a part of the input could not be read
  bool cut_short = false;  ///< what --strict complains of
  bool shown = false;      ///< stdout has the text already
};

/// What a verb does with an item. For each item, open() is called first and then work(), unless an earlier run did it.
class BatchJob {
 public:
  virtual ~BatchJob() = default;
  virtual const Model& model() const = 0;
  /// SHA-256 of the content; empty where only work() will see it (a pipe).
  virtual std::string open(const std::string& path) = 0;
  /// Nothing when cancelled. Throws Error.
  virtual std::optional<BatchResult> work(BatchItem& item) = 0;
};

struct BatchOptions {
  std::string settings;  ///< everything that changes results, for --resume
  bool strict = false;
};

/// Works on every item and delivers the results; returns the exit status.
int run_batch(Console& console, BatchJob& job, const std::vector<InputFlags::Item>& items, const OutputFlags& output,
              const BatchOptions& options);

}  // namespace mtmd::cli
