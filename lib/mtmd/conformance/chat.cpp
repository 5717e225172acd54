// Recorded renderings of chat templates: NAME.json (see shared/conformance/README.md, "chat/").
#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/base/error.h"
#include "engine/chat/template.h"
#include "mtmd/conformance/conformance.h"

namespace mtmd::conformance {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json read_json(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) fail(ErrorCategory::input, "{}: cannot be read", path.string());
  return Json::parse(text);
}

/// The text around byte `at`, on one line.
std::string shown(const std::string& text, std::size_t at) {
  const std::size_t from = at > 15 ? at - 15 : 0;
  return Json(text.substr(std::min(from, text.size()), 40)).dump(-1, ' ', true, Json::error_handler_t::replace);
}

void compare(Result& r, const std::string& got, const std::string& want) {
  if (got == want) return;
  const auto at =
      static_cast<std::size_t>(std::mismatch(got.begin(), got.end(), want.begin(), want.end()).first - got.begin());
  r.outcome = Outcome::failed;
  r.difference = 1;
  r.detail = fmt::format("differs from byte {} ({} bytes, expected {}): {}, expected {}", at, got.size(), want.size(),
                         shown(got, at), shown(want, at));
}

Json context_of(const Json& file, const Json& one) {
  Json context = {
      {"messages", one.at("messages")}, {"bos_token", file.at("bos_token")}, {"eos_token", file.at("eos_token")}};
  if (one.at("add_generation_prompt").get<bool>()) context["add_generation_prompt"] = true;  // undefined, not false
  for (const auto& [key, value] : one.at("context").items()) context[key] = value;
  return context;
}

void run_case(const Json& file, const Json& one, const chat::Template& chat_template, Result& r) {
  const Json context = context_of(file, one);
  const auto now = file.at("now").get<std::int64_t>();
  if (!one.contains("error")) {
    compare(r, chat_template.render(context, now), one.at("expected").get<std::string>());
    return;
  }
  const std::string recorded = one.at("error").get<std::string>();
  const std::string reason = recorded.substr(recorded.find(": ") == std::string::npos ? 0 : recorded.find(": ") + 2);
  try {
    chat_template.render(context, now);
    r.outcome = Outcome::failed;
    r.detail = fmt::format("rendered, but the template should have refused: {}", reason);
  } catch (const Error& e) {
    if (e.category() != ErrorCategory::input || std::string_view(e.what()).find(reason) == std::string_view::npos) {
      r.outcome = Outcome::failed;
      r.detail = fmt::format("{}; expected a refusal that says '{}'", e.what(), reason);
    }
  }
  if (r.outcome == Outcome::passed && one.contains("expected_llama_cpp")) {
    compare(r, chat::render_conversation(chat_template, context, now), one.at("expected_llama_cpp").get<std::string>());
  }
}

void run_file(const fs::path& path, const Sink& sink) {
  Result r{.kind = "chat", .name = path.stem().string(), .compared = "template", .detail = {}};
  const auto failed = [&](std::string_view why) {
    r.outcome = Outcome::failed;
    r.difference = 1;
    r.detail = why;
  };
  try {
    const Json file = read_json(path);
    const auto chat_template = chat::Template::parse(file.at("template").get<std::string>(), r.name);
    const Json& cases = file.at("cases");
    if (!cases.is_array() || cases.empty()) fail(ErrorCategory::input, "{}: no cases are recorded", path.string());
    for (std::size_t i = 0; i < cases.size(); ++i) {
      r = {.kind = "chat", .name = fmt::format("{}/{}", path.stem().string(), i), .compared = "case", .detail = {}};
      r.compared = cases[i].at("label").get<std::string>();
      try {
        run_case(file, cases[i], chat_template, r);
      } catch (const std::exception& e) {
        failed(e.what());
      }
      sink(r);
    }
    return;
  } catch (const std::exception& e) {
    failed(e.what());
  }
  sink(r);
}

}  // namespace

void run_chat(const fs::path& folder, const Sink& sink) {
  std::vector<fs::path> files;
  if (fs::is_directory(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".json") files.push_back(entry.path());
    }
  } else {
    files.push_back(folder);
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) run_file(file, sink);
}

}  // namespace mtmd::conformance
