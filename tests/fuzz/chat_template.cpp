// Chat templates: the bytes are a template; it is rendered with a small conversation, under small limits.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/chat/template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mtmd;
  static const nlohmann::ordered_json context = {
      {"messages",
       {{{"role", "system"}, {"content", "Be brief."}},
        {{"role", "user"}, {"content", "H\u00e9 <tag> \xff"}},
        {{"role", "assistant"},
         {"content", nullptr},
         {"tool_calls", {{{"function", {{"name", "f"}, {"arguments", {{"x", 1.5}}}}}}}}}}},
      {"tools", {{{"type", "function"}, {"function", {{"name", "f"}, {"parameters", {{"type", "object"}}}}}}}},
      {"add_generation_prompt", true},
      {"bos_token", "<s>"},
      {"eos_token", "</s>"}};
  const chat::Limits limits{
      .max_steps = 100'000, .max_output_bytes = 1 << 18, .max_source_bytes = 1 << 16, .max_memory_bytes = 16 << 20};
  try {
    const auto t = chat::Template::parse({reinterpret_cast<const char*>(data), size}, "fuzz", limits);
    if (t.render(context, 1721952000).size() > limits.max_output_bytes) std::abort();
  } catch (const Error& e) {
    if (e.category() != ErrorCategory::model && e.category() != ErrorCategory::input) std::abort();
  }
  return 0;
}
