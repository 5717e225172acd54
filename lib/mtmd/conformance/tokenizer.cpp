// Recorded tokenizations: V.gguf.inp/.out pairs, V.jsonl and V.pre-P.jsonl (see shared/conformance/README.md,
// "tokenizer/").
#include "engine/tokenizer/tokenizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/gguf/writer.h"
#include "mtmd/conformance/conformance.h"

namespace mtmd::conformance {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) fail(ErrorCategory::input, "{}: cannot be read", path.string());
  return text;
}

std::string bytes_of(const std::string& hex) {
  const auto digit = [&hex](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    fail(ErrorCategory::input, "'{}' is not hexadecimal", hex);
  };
  if (hex.size() % 2 != 0) fail(ErrorCategory::input, "'{}' is not hexadecimal", hex);
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    out.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return out;
}

/// Text that can be shown on one line.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 60)) {
    if (c >= ' ' && c != 127)
      out.push_back(c);
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return text.size() > 60 ? out + "…" : out;
}

/// What became of the strings of one file.
struct Tally {
  std::size_t compared = 0, wrong = 0;
  std::string first;
  void mismatch(std::string detail) {
    if (wrong++ == 0) first = std::move(detail);
  }
};

std::optional<std::string> difference(const std::vector<Token>& got, const std::vector<Token>& wanted) {
  const auto [g, w] = std::mismatch(got.begin(), got.end(), wanted.begin(), wanted.end());
  if (g == got.end() && w == wanted.end()) return std::nullopt;
  const auto id = [](auto at, const auto& all) {
    return at == all.end() ? std::string("the end") : std::to_string(*at);
  };
  return fmt::format("token {} is {}, expected {}", w - wanted.begin(), id(g, got), id(w, wanted));
}

/// Lines of {"text_hex","add_special","parse_special","tokens","detok_hex"}.
Tally compare_lines(const Tokenizer& tokenizer, const fs::path& file) {
  Tally tally;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const json record = json::parse(line);
    const std::string text = bytes_of(record.at("text_hex").get<std::string>());
    const EncodeOptions options{record.at("add_special").get<bool>(), record.at("parse_special").get<bool>()};
    const auto wanted = record.at("tokens").get<std::vector<Token>>();
    const std::string wanted_text = bytes_of(record.at("detok_hex").get<std::string>());
    ++tally.compared;
    if (const auto d = difference(tokenizer.encode(text, options), wanted)) {
      tally.mismatch(fmt::format("string {} '{}': {}", tally.compared, shown(text), *d));
    } else if (const std::string back = tokenizer.detokenize(wanted, true); back != wanted_text) {
      tally.mismatch(fmt::format("string {}: detokenized to '{}', expected '{}'", tally.compared, shown(back),
                                 shown(wanted_text)));
    }
  }
  return tally;
}

/// Texts separated by kSeparator, and a line of ids for each.
Tally compare_pair(const Tokenizer& tokenizer, const fs::path& texts, const fs::path& ids) {
  Tally tally;
  const std::string all = read_file(texts);
  std::istringstream lines(read_file(ids));
  for (std::size_t at = 0; at <= all.size();) {
    const std::size_t end = std::min(all.find(kSeparator, at), all.size());
    const std::string text = all.substr(at, end - at);
    at = end + kSeparator.size();
    std::string line;
    const bool recorded = static_cast<bool>(std::getline(lines, line));
    if (!recorded && text.empty() && at > all.size()) break;  // a separator behind the last text
    ++tally.compared;
    if (!recorded) {
      tally.mismatch(fmt::format("string {}: no ids are recorded", tally.compared));
      continue;
    }
    std::istringstream numbers(line);
    const std::vector<Token> wanted{std::istream_iterator<Token>(numbers), {}};
    if (!numbers.eof())
      tally.mismatch(fmt::format("string {}: the recorded ids '{}' are damaged", tally.compared, shown(line)));
    else if (const auto d = difference(tokenizer.encode(text), wanted))
      tally.mismatch(fmt::format("string {} '{}': {}", tally.compared, shown(text), *d));
  }
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) tally.mismatch("more lines of ids than texts");
  return tally;
}

/// V.info.json: sizes and special ids.
Tally compare_facts(const Tokenizer& tokenizer, const fs::path& file) {
  Tally tally;
  const json record = json::parse(read_file(file));
  const auto check = [&](const char* key, auto got) {
    ++tally.compared;
    const auto wanted = record.at(key).get<decltype(got)>();
    if (got != wanted) tally.mismatch(fmt::format("{} is {}, expected {}", key, got, wanted));
  };
  check("n_tokens", tokenizer.size());
  check("bos", tokenizer.bos());
  check("eos", tokenizer.eos());
  check("add_bos", tokenizer.adds_bos());
  check("add_eos", tokenizer.adds_eos());
  std::vector<Token> ends;
  for (Token t = 0; t < tokenizer.size(); ++t)
    if (tokenizer.is_end_of_generation(t)) ends.push_back(t);
  check("eog", ends);
  return tally;
}

/// The vocabularies of a folder, opened once; with another pre-tokenizer on demand.
class Vocabularies {
 public:
  const Tokenizer& get(const fs::path& gguf, const std::string& pre) {
    auto& slot = known_[gguf.string() + '\n' + pre];
    if (slot == nullptr) slot = load(gguf, pre);
    return *slot;
  }

 private:
  static std::unique_ptr<Tokenizer> load(const fs::path& path, const std::string& pre) {
    const auto file = gguf::File::open(path);
    if (pre.empty()) return Tokenizer::load(file.metadata());
    gguf::Writer changed;
    for (const auto& entry : file.metadata().entries()) changed.set(std::string(entry.key), entry.value);
    changed.set("tokenizer.ggml.pre", pre);
    const auto bytes = changed.to_memory();
    const auto copy = gguf::File::from_memory(bytes, path.string());
    return Tokenizer::load(copy.metadata());
  }
  std::map<std::string, std::unique_ptr<Tokenizer>> known_;
};

struct Case {
  fs::path gguf;
  std::string name, pre, suffix;
};

/// V.jsonl, V.pre-P.jsonl, V.info.json and V.gguf.out, each beside a V.gguf.
std::vector<Case> find_cases(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<Case> cases;
  for (const auto& file : files) {
    const std::string name = file.filename().string();
    for (const std::string suffix : {".info.json", ".jsonl", ".gguf.out"}) {
      if (name.size() <= suffix.size() || name.substr(name.size() - suffix.size()) != suffix) continue;
      std::string stem = name.substr(0, name.size() - suffix.size()), pre;
      if (const std::size_t at = stem.find(".pre-"); at != std::string::npos && suffix == ".jsonl") {
        pre = stem.substr(at + 5);
        stem.resize(at);
      }
      cases.push_back({folder / (stem + ".gguf"), pre.empty() ? stem : stem + ".pre-" + pre, pre, suffix});
    }
  }
  return cases;
}

Result run_case(const Case& c, const fs::path& folder, Vocabularies& vocabularies) {
  Result result{.kind = "tokenizer", .name = c.name, .compared = "strings", .detail = {}};
  try {
    const Tokenizer* tokenizer = nullptr;
    try {
      tokenizer = &vocabularies.get(c.gguf, c.pre);
    } catch (const Error& e) {
      const bool unsupported = std::string_view(e.what()).find("is not supported") != std::string_view::npos;
      result.outcome = unsupported ? Outcome::unsupported : Outcome::failed;
      result.detail = e.what();
      return result;
    }
    Tally tally;
    const fs::path base = folder / c.name;
    if (c.suffix == ".jsonl") {
      result.compared = "tokens and text";
      tally = compare_lines(*tokenizer, base.string() + c.suffix);
    } else if (c.suffix == ".gguf.out") {
      result.compared = "tokens";
      tally = compare_pair(*tokenizer, base.string() + ".gguf.inp", base.string() + c.suffix);
    } else {
      result.compared = "special tokens";
      tally = compare_facts(*tokenizer, base.string() + c.suffix);
    }
    result.compared = fmt::format("{} of {}", result.compared, tally.compared);
    result.difference = static_cast<double>(tally.wrong);
    if (tally.compared == 0) tally.mismatch("nothing is recorded");
    if (tally.wrong > 0) {
      result.outcome = Outcome::failed;
      result.detail = fmt::format("{} differ; first: {}", tally.wrong, tally.first);
    }
  } catch (const std::exception& e) {
    result.outcome = Outcome::failed;
    result.detail = e.what();
  }
  return result;
}

}  // namespace

void run_tokenizer(const fs::path& folder, const Sink& sink) {
  Vocabularies vocabularies;
  for (const Case& c : find_cases(folder)) sink(run_case(c, folder, vocabularies));
}

}  // namespace mtmd::conformance
