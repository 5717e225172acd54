#include "quantize/quantize_report.h"

#include <fmt/ranges.h>

#include <array>
#include <map>
#include <nlohmann/json.hpp>

namespace mtmd::cli {
namespace {

using Json = nlohmann::ordered_json;
using quantize::Choice;

std::map<DType, std::uint64_t> bytes_by_type(const quantize::Plan& plan) {
  std::map<DType, std::uint64_t> bytes;
  for (const quantize::PlannedTensor& t : plan.tensors) bytes[t.choice.type] += t.bytes;
  return bytes;
}

}  // namespace

std::string readable_bytes(std::uint64_t bytes) {
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  double n = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; n >= 1024 && unit + 1 < kUnits.size(); ++unit) n /= 1024;
  return fmt::format("{:.2f} {}", n, kUnits[unit]);
}

std::string readable_seconds(double seconds) {
  const auto s = static_cast<long long>(seconds + 0.5);
  if (s < 60) return seconds < 9.95 ? fmt::format("{:.1f} s", seconds) : fmt::format("{} s", s);
  return s < 3600 ? fmt::format("{} min {} s", s / 60, s % 60) : fmt::format("{} h {} min", s / 3600, s / 60 % 60);
}

Json plan_json(const std::string& input, const std::string& output, const quantize::Plan& plan) {
  Json tensors = Json::array();
  for (const quantize::PlannedTensor& t : plan.tensors) {
    Json j = {{"name", t.name},
              {"shape", t.source->shape},
              {"type_in", name(t.source->type)},
              {"type", name(t.choice.type)},
              {"bytes_in", t.source->data.size()},
              {"bytes", t.bytes},
              {"why", name(t.choice.why)}};
    if (t.choice.wanted) j["instead_of"] = name(*t.choice.wanted);
    if (!t.importance.empty()) j["importance"] = true;
    tensors.push_back(std::move(j));
  }
  Json types = Json::object();
  for (const auto& [type, bytes] : bytes_by_type(plan)) types[std::string(name(type))] = bytes;
  return {{"input", input},
          {"output", output},
          {"type", plan.type->name},
          {"bytes_in", plan.source_bytes},
          {"bytes", plan.bytes},
          {"file_bytes", plan.file_bytes()},
          {"bits_per_weight", plan.bits_per_weight()},
          {"parameters", plan.n_values},
          {"n_tensors", plan.tensors.size()},
          {"n_converted", plan.n_converted},
          {"n_fallback", plan.n_fallback},
          {"bytes_by_type", std::move(types)},
          {"warnings", plan.warnings},
          {"tensors", std::move(tensors)}};
}

std::string plan_text(const std::string& input, const std::string& output, const quantize::Plan& plan) {
  std::string text = fmt::format("{} -> {} ({})\n", input, output, plan.type->name);
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    const quantize::PlannedTensor& t = plan.tensors[i];
    text += fmt::format("[{:4}/{:4}] {:<44} {:>20} {:>7}", i + 1, plan.tensors.size(), t.name,
                        fmt::format("{}", fmt::join(t.source->shape, " x ")), name(t.source->type));
    if (!t.copied()) text += fmt::format(" -> {:<7}", name(t.choice.type));
    if (!t.copied())
      text += fmt::format(" {:>11} -> {:>11}", readable_bytes(t.source->data.size()), readable_bytes(t.bytes));
    if (t.choice.wanted) text += fmt::format("  (rows do not fit {})", name(*t.choice.wanted));
    text += '\n';
  }
  std::string types;
  for (const auto& [type, bytes] : bytes_by_type(plan))
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", name(type), readable_bytes(bytes));
  return text + fmt::format("{} -> {}, {:.2f} bits per weight ({})\n", readable_bytes(plan.source_bytes),
                            readable_bytes(plan.bytes), plan.bits_per_weight(), types);
}

Json costs_json(const QuantizeCosts& c) {
  return {{"memory_bytes", c.memory_bytes}, {"disk_bytes", c.disk_bytes}, {"estimated_seconds", c.seconds}};
}

std::string costs_text(const QuantizeCosts& c) {
  return fmt::format("memory {}, disk {}, about {}\n", readable_bytes(c.memory_bytes), readable_bytes(c.disk_bytes),
                     readable_seconds(c.seconds));
}

}  // namespace mtmd::cli
