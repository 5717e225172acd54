// What `mtmd quantize` says about plans and results.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "mtmd/quantize/job.h"

namespace mtmd::cli {

/// Costs of a job for all its plans together.
struct QuantizeCosts {
  std::uint64_t memory_bytes = 0, disk_bytes = 0;
  double seconds = 0;
};

nlohmann::ordered_json plan_json(const std::string& input, const std::string& output, const quantize::Plan& plan);
/// One line per tensor, then the sums.
std::string plan_text(const std::string& input, const std::string& output, const quantize::Plan& plan);
nlohmann::ordered_json costs_json(const QuantizeCosts& costs);
std::string costs_text(const QuantizeCosts& costs);

/// "1.4 GiB", "512 bytes"
std::string readable_bytes(std::uint64_t bytes);
/// "12 s", "3 min 20 s"
std::string readable_seconds(double seconds);

}  // namespace mtmd::cli
