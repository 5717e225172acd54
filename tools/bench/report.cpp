#include "bench/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "bench/statistics.h"
#include "engine/base/error.h"

namespace mtmd::bench {
namespace {

std::int64_t nanoseconds(double seconds) { return static_cast<std::int64_t>(seconds * 1e9 + 0.5); }

std::string utc_now() {
  const std::time_t t = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&t, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string csv_cell(const Json& value) {
  if (value.is_null()) return {};
  if (value.is_number() || value.is_boolean()) return value.dump();
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

struct Column {
  std::string head;
  bool right;
  std::string (*cell)(const Result&);
  bool always;
};

std::string size_text(const Result& r) { return fmt::format("{:.2f} MiB", static_cast<double>(r.model_size) / (1 << 20)); }
std::string number(double v) { return v < 1000 ? fmt::format("{:.2f}", v) : fmt::format("{:.0f}", v); }

std::string rate_text(const Result& r) {
  const std::vector<double> rates = r.rates();
  const double m = median(rates);
  const Interval i = median_interval(rates);
  return fmt::format("{} ± {}", number(m), number(std::max(m - i.low, i.high - m)));
}

std::string model_text(const Result& r) { return r.model_type + " " + r.weight_types; }

const std::vector<Column> kColumns = {
    {"model", false, model_text, true},
    {"size", true, size_text, true},
    {"params", true, [](const Result& r) { return fmt::format("{:.2f} M", static_cast<double>(r.model_n_params) / 1e6); },
     true},
    {"backend", false, [](const Result& r) { return r.backend; }, true},
    {"threads", true, [](const Result& r) { return fmt::format("{}", r.n_threads); }, true},
    {"n_batch", true, [](const Result& r) { return fmt::format("{}", r.n_batch); }, false},
    {"n_ubatch", true, [](const Result& r) { return fmt::format("{}", r.n_ubatch); }, false},
    {"type_k", false, [](const Result& r) { return lower(r.type_k); }, false},
    {"type_v", false, [](const Result& r) { return lower(r.type_v); }, false},
    {"isa", false, [](const Result& r) { return r.isa; }, false},
    {"setting", false, [](const Result& r) { return r.setting; }, false},
    {"test", true, [](const Result& r) { return r.test; }, true},
    {"rate", true, rate_text, true},
    {"unit", false, [](const Result& r) { return r.unit; }, false},
    {"limit", false, [](const Result& r) { return r.limit; }, false}};

bool shown(const Column& c, std::span<const Result> results) {
  const bool of_model = c.head == "model" || c.head == "size" || c.head == "params";
  if (of_model && std::ranges::all_of(results, [](const Result& r) { return r.model_type.empty(); })) return false;
  if (c.always) return true;
  std::set<std::string> values;
  for (const Result& r : results) values.insert(c.cell(r));
  return values.size() > 1 || (c.head == "limit" && !values.contains(""));
}

}  // namespace

Json to_json(const Machine& machine, const Result& r) {
  const std::vector<double> rates = r.rates();
  const Interval interval = median_interval(rates);
  const Conditions& c = r.samples.conditions;
  Json j = {{"schema", 1},
            {"build_commit", machine.commit},
            {"cpu_info", machine.cpu},
            {"isa", r.isa.empty() ? machine.isa : r.isa},
            {"cpu_ghz", machine.ghz},
            {"cpu_cores", machine.cores},
            {"memory_bytes", machine.memory_bytes},
            {"kernel", machine.kernel},
            {"backends", r.backend},
            {"setting", r.setting},
            {"model_filename", r.model_filename},
            {"model_type", r.model_type},
            {"weight_types", r.weight_types},
            {"model_size", r.model_size},
            {"model_n_params", r.model_n_params},
            {"n_batch", r.n_batch},
            {"n_ubatch", r.n_ubatch},
            {"n_threads", r.n_threads},
            {"type_k", lower(r.type_k)},
            {"type_v", lower(r.type_v)},
            {"n_gpu_layers", 0},
            {"flash_attn", true},
            {"use_mmap", true},
            {"test", r.test},
            {"n_prompt", r.n_prompt},
            {"n_gen", r.n_gen},
            {"n_depth", r.n_depth},
            {"n_parallel", r.n_parallel},
            {"test_time", utc_now()},
            {"avg_ns", nanoseconds(mean(r.samples.seconds))},
            {"stddev_ns", nanoseconds(deviation(r.samples.seconds))},
            {"median_ns", nanoseconds(median(r.samples.seconds))},
            {"unit", r.unit},
            {"avg_ts", mean(rates)},
            {"stddev_ts", deviation(rates)},
            {"median_ts", median(rates)},
            {"low_ts", interval.low},
            {"high_ts", interval.high},
            {"confidence", interval.confidence}};
  for (const auto& [key, value] : r.extra) j[key] = value;
  j["peak_memory_bytes"] = c.peak_bytes;
  j["energy_joules"] = c.joules ? Json(*c.joules) : Json(nullptr);
  j["ghz"] = c.ghz;
  j["stolen"] = c.stolen;
  j["other_processes"] = c.others;
  j["complaints"] = c.complaints();
  j["outliers"] = outliers(r.samples.seconds);
  Json warmup = Json::array(), samples = Json::array();
  for (const double s : r.samples.warmup) warmup.push_back(nanoseconds(s));
  for (const double s : r.samples.seconds) samples.push_back(nanoseconds(s));
  j["warmup_ns"] = std::move(warmup);
  j["samples_ns"] = std::move(samples);
  j["samples_ts"] = rates;
  return j;
}

std::string markdown(std::span<const Result> results) {
  const bool tokens = std::ranges::all_of(results, [](const Result& r) { return r.unit == "t/s"; });
  std::vector<const Column*> columns;
  for (const Column& c : kColumns)
    if (shown(c, results)) columns.push_back(&c);
  std::string text = "|", line = "|";
  for (const Column* c : columns) {
    text += fmt::format(" {} |", c->head == "rate" && tokens ? "t/s" : c->head);
    line += c->right ? " ---: |" : " --- |";
  }
  text += "\n" + line + "\n";
  for (const Result& r : results) {
    text += "|";
    for (const Column* c : columns) text += fmt::format(" {} |", c->cell(r));
    text += "\n";
  }
  return text;
}

std::string csv(std::span<const Json> records) {
  std::vector<std::string> keys;
  for (const Json& r : records)
    for (const auto& item : r.items())
      if (std::ranges::find(keys, item.key()) == keys.end()) keys.push_back(item.key());
  std::string text;
  for (std::size_t i = 0; i < keys.size(); ++i) text += (i ? "," : "") + keys[i];
  text += "\n";
  for (const Json& r : records) {
    for (std::size_t i = 0; i < keys.size(); ++i)
      text += (i ? "," : "") + (r.contains(keys[i]) ? csv_cell(r[keys[i]]) : std::string());
    text += "\n";
  }
  return text;
}

std::string jsonl(std::span<const Json> records) {
  std::string text;
  for (const Json& r : records) text += r.dump() + "\n";
  return text;
}

std::string json_list(std::span<const Json> records) { return Json(std::vector<Json>(records.begin(), records.end())).dump(2) + "\n"; }

std::vector<Json> read_records(const std::string& path) {
  std::ifstream file(path);
  if (!file || std::filesystem::is_directory(path)) fail(ErrorCategory::input, "{}: cannot be read", path);
  std::stringstream bytes;
  bytes << file.rdbuf();
  const std::string text = bytes.str();
  std::vector<Json> records;
  const auto take = [&](std::string_view piece) {
    const Json j = Json::parse(piece, nullptr, false);
    if (j.is_array()) {
      records.insert(records.end(), j.begin(), j.end());
    } else {
      records.push_back(j);
    }
  };
  if (text.find_first_not_of(" \t\r\n") != text.npos && text[text.find_first_not_of(" \t\r\n")] == '[') {
    take(text);
  } else {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
      if (line.find_first_not_of(" \t\r") != line.npos) take(line);
  }
  for (const Json& r : records) {
    const bool sound = r.is_object() && r.contains("samples_ts") && r["samples_ts"].is_array() && !r["samples_ts"].empty() &&
                       std::ranges::all_of(r["samples_ts"], [](const Json& v) { return v.is_number() && v.get<double>() > 0; });
    if (!sound) fail(ErrorCategory::input, "{}: no results of `mtmd bench -o json` or `-o jsonl`", path);
  }
  if (records.empty()) fail(ErrorCategory::input, "{}: holds no results", path);
  return records;
}

}  // namespace mtmd::bench
