// Results as tables and as data. Columns and keys are llama-bench's where it has them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "bench/machine.h"
#include "bench/measure.h"

namespace mtmd::bench {

using Json = nlohmann::ordered_json;

/// One object per result; "schema" is 1.
Json to_json(const Machine& machine, const Result& result);

/// A table of Markdown: columns beyond llama-bench's appear where results differ in them.
std::string markdown(std::span<const Result> results);
/// First line: the keys; lists and texts in quotes as RFC 4180 has it.
std::string csv(std::span<const Json> records);
std::string jsonl(std::span<const Json> records);
std::string json_list(std::span<const Json> records);

/// Records of an earlier run: a list or one object a line. Throws Error(input) naming the file.
std::vector<Json> read_records(const std::string& path);

}  // namespace mtmd::bench
