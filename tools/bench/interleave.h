// Two settings of one benchmark, sample by sample in turns, each in a process of its own.
#pragma once

#include <string>
#include <vector>

#include "bench/measure.h"

namespace mtmd::bench {

/// What one side runs: a program, its arguments, and what its environment has on top of ours.
struct Side {
  std::string setting;  ///< as the user wrote it
  std::string program;
  std::vector<std::string> arguments, environment;  ///< environment: NAME=value
};

/// `arguments`: those of `bench --on-request` that both sides share; `setting`: "key=value …" as --interleave has it.
/// Throws Error(usage) for a setting that is no list of pairs.
Side make_side(const std::string& program, const std::vector<std::string>& arguments, const std::string& setting);

struct Turns {
  std::vector<std::string> tests;
  std::vector<std::vector<double>> seconds[2];  ///< [side][test][repetition]
};

/// Warm-ups and repetitions as `plan` says; every repetition of a test is one sample of each side, and who begins
/// changes. Throws Error(device) when a side ends early, Error(usage) when the sides have different tests.
Turns take_turns(const Side& first, const Side& second, const Plan& plan);

}  // namespace mtmd::bench
