// --plan: what a run will cost, before anything runs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "mtmd/session.h"

namespace mtmd::cli {

nlohmann::ordered_json plan_json(const std::string& input, const Plan& plan);
std::string plan_text(const std::string& input, const Plan& plan);

}  // namespace mtmd::cli
