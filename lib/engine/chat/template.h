// Chat templates: the subset of Jinja that GGUF files use, interpreted in a sandbox with step and output limits.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mtmd::chat {

struct Limits {
  std::uint64_t max_steps = 5'000'000;  ///< evaluated nodes
  std::size_t max_output_bytes = 16u << 20;
  std::size_t max_source_bytes = 1u << 20;
  std::size_t max_memory_bytes = 512u << 20;  ///< of all values made while rendering
  int max_depth = 200;                        ///< nesting of the source and of calls
};

/// Parsed once, rendered many times; rendering is const and thread-safe.
class Template {
 public:
  /// Throws Error(model): line, column and the construct that is not supported or not understood. `name` is for
  /// messages.
  static Template parse(std::string_view source, std::string_view name = "chat template", const Limits& limits = {});
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  /// `context`: object with the variables (messages, add_generation_prompt, bos_token, …). `now`: Unix time for
  /// strftime_now (UTC). Throws Error(model) when the template fails, Error(input) when it calls raise_exception.
  std::string render(const nlohmann::ordered_json& context, std::int64_t now) const;

 private:
  struct Impl;
  explicit Template(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// As Template::render; but when the template refuses a conversation that begins with a system message (gemma-2 does),
/// it is rendered with that text and a newline put before the first user text instead. `merged_system`, when given,
/// says so.
std::string render_conversation(const Template& chat_template, const nlohmann::ordered_json& context, std::int64_t now,
                                bool* merged_system = nullptr);

/// Built-in templates by name ("chatml", "llama-3", "gemma", …) for --chat-template NAME; empty when unknown.
std::string_view builtin(std::string_view name) noexcept;
std::vector<std::string_view> builtin_names();

}  // namespace mtmd::chat
