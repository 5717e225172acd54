// Runs recorded results of a reference implementation against this build (`mtmd conformance`, and the tests).
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "engine/device/device.h"

namespace mtmd::conformance {

enum class Outcome { passed, failed, unsupported };

/// One comparison with a recorded value.
struct Result {
  std::string kind;      ///< "text", "media", "tokenizer", "quant", "chat"
  std::string name;      ///< the recorded case, e.g. "llama_tied" or "qwen2vl_merger/odd"
  std::string compared;  ///< what: "logits", "greedy tokens", "decode IQ4_XS", …
  Outcome outcome = Outcome::passed;
  double difference = 0;  ///< largest difference seen, in the unit of the tolerance
  double tolerance = 0;
  std::string detail;  ///< where it differs, or why it is not supported
};

using Sink = std::function<void(const Result&)>;

/// One function per kind of recorded case; `folder` holds cases of that kind (tests/data or shared/conformance/KIND). A
/// damaged or missing recorded value is a failure, not an exception. Cases are visited in name order.
void run_text(const std::filesystem::path& folder, Device& device, const Sink& sink);
void run_media(const std::filesystem::path& folder, Device& device, const Sink& sink);
void run_tokenizer(const std::filesystem::path& folder, const Sink& sink);
void run_quant(const std::filesystem::path& folder, const Sink& sink);
void run_chat(const std::filesystem::path& folder, const Sink& sink);

/// Finds cases of every kind under `path` (a kit, one of its folders, or one case) and runs them.
void run_all(const std::filesystem::path& path, Device& device, const Sink& sink);

}  // namespace mtmd::conformance
