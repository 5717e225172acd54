// One item's result, as JSON (schema 1, CONVENTIONS.md), plain text or Markdown.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "mtmd/read.h"

namespace mtmd::cli {

using Json = nlohmann::ordered_json;

struct RecordHead {
  std::size_t index = 0;
  std::string input, model_name;
};

struct RecordBody {
  std::string text = {};
  std::optional<FinishReason> finish = {};
  Json media = Json::array();
  Timings timings = {};
  std::vector<std::string> warnings = {};
};

Json ok_record(const RecordHead& head, const RecordBody& body);
Json ok_record(const RecordHead& head, const ReadResult& result);
Json media_json(const std::vector<UsedMedia>& media);
Json failed_record(const RecordHead& head, std::string_view error);
Json skipped_record(const RecordHead& head, std::string_view why);

/// A record in one of the formats txt, md, json, jsonl; srt, vtt, tsv, csv where it has segments. Failed items have no
/// text.
std::string render(const Json& record, std::string_view format, bool heading);
/// All records as one document.
std::string render_all(const std::vector<Json>& records, std::string_view format);

/// Bytes that are not UTF-8 become U+FFFD.
std::string dump(const Json& json, int indent = -1);

}  // namespace mtmd::cli
