#include "mtmd-cli/plan.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace mtmd::cli {

nlohmann::ordered_json plan_json(const std::string& input, const Plan& p) {
  nlohmann::ordered_json media = nlohmann::ordered_json::array();
  for (const UsedMedia& m : p.media)
    media.push_back({{"in", {m.in.width, m.in.height}},
                     {"used", {m.used.width, m.used.height}},
                     {"tokens", m.tokens},
                     {"tiles", m.tiles}});
  return {{"input", input},
          {"tokens",
           {{"text", p.n_text_tokens}, {"media", p.n_media_tokens}, {"total", p.n_text_tokens + p.n_media_tokens}}},
          {"positions", p.n_positions},
          {"context", p.n_ctx},
          {"context_trained", p.n_ctx_train},
          {"bytes",
           {{"weights", p.weight_bytes}, {"kv", p.kv_bytes}, {"scratch", p.scratch_bytes}, {"peak", p.peak_bytes}}},
          {"media", media}};
}

std::string plan_text(const std::string& input, const Plan& p) {
  const auto mb = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  std::string text = fmt::format("{}\n", input);
  for (const UsedMedia& m : p.media)
    text += fmt::format("  picture   {}x{} used at {}x{}: {} tokens, {} tiles\n", m.in.width, m.in.height, m.used.width,
                        m.used.height, m.tokens, m.tiles);
  text += fmt::format("  prompt    {} tokens: {} text, {} media; {} positions\n", p.n_text_tokens + p.n_media_tokens,
                      p.n_text_tokens, p.n_media_tokens, p.n_positions);
  text += fmt::format("  context   {} of {} tokens\n", p.n_ctx, p.n_ctx_train);
  text += fmt::format("  memory    {:.1f} MB at peak: weights {:.1f}, KV cache {:.1f}, scratch {:.1f}\n",
                      mb(p.peak_bytes), mb(p.weight_bytes), mb(p.kv_bytes), mb(p.scratch_bytes));
  return text;
}

}  // namespace mtmd::cli
