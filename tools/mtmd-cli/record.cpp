#include "mtmd-cli/record.h"

#include <cmath>
#include <filesystem>
#include "mtmd/hear/subtitles.h"

namespace mtmd::cli {
namespace {

double rounded(double ms) { return std::round(ms * 1000) / 1000; }
Json size_json(image::Size s) { return Json::array({s.width, s.height}); }

Json record(const RecordHead& head, std::string_view status, const RecordBody& body) {
  const Timings& t = body.timings;
  return {
      {"schema", 1},
      {"index", head.index},
      {"input", head.input},
      {"page", nullptr},
      {"status", status},
      {"text", body.text},
      {"finish_reason", body.finish ? Json(name(*body.finish)) : Json(nullptr)},
      {"media", body.media},
      {"timings_ms",
       {{"decode", rounded(t.decode)},
        {"preprocess", rounded(t.preprocess)},
        {"encode", rounded(t.encode)},
        {"prefill", rounded(t.prefill)},
        {"generate", rounded(t.generate)},
        {"total", rounded(t.total)}}},
      {"model", {{"name", head.model_name}, {"sha256", nullptr}}},
      {"warnings", body.warnings}};
}

Json record_without_result(const RecordHead& head, std::string_view status, std::string_view why) {
  Json json = record(head, status, {});
  json["error"] = why;
  return json;
}

std::vector<Segment> segments_of(const Json& record) {
  std::vector<Segment> segments;
  for (const Json& s : record["segments"])
    segments.push_back({s["begin"].get<double>(), s["end"].get<double>(), s["text"].get<std::string>()});
  return segments;
}

std::string with_newline(std::string text) {
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  return text;
}

std::string markdown(const Json& record, bool heading) {
  std::string text =
      heading ? "## " + std::filesystem::path(record["input"].get<std::string>()).filename().string() + "\n\n" : "";
  if (record["status"] != "ok") return text + "*" + record.value("error", "") + "*\n";
  const std::size_t start = text.size();
  for (const char c : record["text"].get_ref<const std::string&>()) {
    // Two spaces keep a line break; around a blank line there is nothing to keep.
    if (c == '\n' && text.size() > start && text.back() != '\n') text += "  ";
    text += c;
  }
  return with_newline(std::move(text));
}

}  // namespace

std::string dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

Json media_json(const std::vector<UsedMedia>& media) {
  Json all = Json::array();
  for (const UsedMedia& m : media) {
    if (m.seconds > 0)
      all.push_back({{"kind", "audio"},
                     {"seconds", m.seconds},
                     {"covered_seconds", m.covered_seconds},
                     {"tokens", m.tokens},
                     {"tiles", m.tiles}});
    else
      all.push_back({{"kind", "image"},
                     {"in", size_json(m.in)},
                     {"used", size_json(m.used)},
                     {"tokens", m.tokens},
                     {"tiles", m.tiles}});
  }
  return all;
}

Json ok_record(const RecordHead& head, const RecordBody& body) { return record(head, "ok", body); }
Json ok_record(const RecordHead& head, const ReadResult& r) {
  return ok_record(head, {r.text, r.finish, media_json(r.media), r.timings, r.warnings});
}
Json failed_record(const RecordHead& head, std::string_view error) {
  return record_without_result(head, "failed", error);
}
Json skipped_record(const RecordHead& head, std::string_view why) {
  return record_without_result(head, "skipped", why);
}

std::string render(const Json& record, std::string_view format, bool heading) {
  if (format == "jsonl") return dump(record) + "\n";
  if (format == "json") return dump(record, 2) + "\n";
  if (format == "md") return markdown(record, heading);
  if (const auto subtitle = subtitle_format(format); subtitle && format != "txt")
    return record["status"] == "ok" ? subtitles(segments_of(record), *subtitle) : "";
  return with_newline(record["text"].get<std::string>());
}

std::string render_all(const std::vector<Json>& records, std::string_view format) {
  if (format == "json") return dump(Json(records), 2) + "\n";
  std::string all;
  for (const Json& record : records) {
    const std::string one = render(record, format, records.size() > 1);
    if (!all.empty() && !one.empty() && format != "jsonl") all += "\n";
    all += one;
  }
  return all;
}

}  // namespace mtmd::cli
