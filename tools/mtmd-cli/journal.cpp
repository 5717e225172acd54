#include "mtmd-cli/journal.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "engine/base/error.h"
#include "mtmd-cli/record.h"

namespace mtmd::cli {
namespace fs = std::filesystem;

Journal::Journal(fs::path path, bool keep_old) : path_(std::move(path)), file_(nullptr, std::fclose) {
  std::error_code ignored;
  if (keep_old && fs::exists(path_, ignored)) {
    std::ifstream in(path_, std::ios::binary);
    std::uintmax_t whole = 0;  // bytes up to the end of the last complete line
    for (std::string line; std::getline(in, line) && !in.eof(); whole += line.size() + 1) {
      auto json = Json::parse(line, nullptr, false);
      if (json.is_object() && json.contains("key") && json.contains("record"))
        records_[json["key"]] = std::move(json["record"]);
    }
    in.close();
    fs::resize_file(path_, whole, ignored);
  }
  file_.reset(std::fopen(path_.c_str(), keep_old ? "ae" : "we"));
  if (!file_) fail(ErrorCategory::output, "{}: cannot open the journal: {}", path_.string(), std::strerror(errno));
}

const Json* Journal::find(const std::string& key) const {
  const auto it = records_.find(key);
  return it == records_.end() ? nullptr : &it->second;
}

void Journal::add(const std::string& key, const Json& record) {
  const std::string line = dump({{"key", key}, {"record", record}}) + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() || std::fflush(file_.get()) != 0)
    fail(ErrorCategory::output, "{}: cannot write the journal: {}", path_.string(), std::strerror(errno));
  ::fsync(::fileno(file_.get()));
  records_[key] = record;
}

void Journal::remove() {
  file_.reset();
  std::error_code ignored;
  fs::remove(path_, ignored);
}

}  // namespace mtmd::cli
