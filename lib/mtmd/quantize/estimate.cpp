#include "mtmd/quantize/estimate.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/thread_pool.h"
#include "mtmd/quantize/chunk.h"

namespace mtmd::quantize {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kEach{30};

/// Seconds for one value of this tensor's pair of types.
double seconds_per_value(const PlannedTensor& t, bool best, const Source& source) {
  ChunkCoder coder;
  const std::int64_t at_once = std::clamp<std::int64_t>(16384 / t.columns(), 1, t.rows());
  std::int64_t values = 0;
  const auto start = Clock::now();
  Clock::duration spent{};
  for (std::int64_t row = 0; spent < kEach; row = row + 2 * at_once <= t.rows() ? row + at_once : 0) {
    const Rows rows{row, at_once};
    coder.read(source, t, rows);
    coder.encode(t, rows, best, "sample");
    values += at_once * t.columns();
    spent = Clock::now() - start;
  }
  return std::chrono::duration<double>(spent).count() / static_cast<double>(values);
}

}  // namespace

double estimate_seconds(const gguf::File& file, std::span<const Plan* const> plans, int threads) {
  const Source source(file, true);
  std::map<std::pair<DType, DType>, double> each;
  double seconds = 0;
  for (const Plan* plan : plans)
    for (const PlannedTensor& t : plan->tensors) {
      const auto key = std::pair(t.source->type, t.choice.type);
      if (!each.contains(key)) try {
          each[key] = seconds_per_value(t, plan->best, source);
        } catch (const Error&) {
          each[key] = 0;  // values that cannot be stored: the job will say so
        }
      seconds += each[key] * static_cast<double>(t.source->n_values());
    }
  return seconds / (threads > 0 ? threads : physical_cores());
}

}  // namespace mtmd::quantize
