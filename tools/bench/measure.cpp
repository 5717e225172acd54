#include "bench/measure.h"

#include <chrono>
#include <cmath>

namespace mtmd::bench {

double now() noexcept {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<double> Result::rates() const {
  std::vector<double> rates;
  rates.reserve(samples.seconds.size());
  for (const double s : samples.seconds) rates.push_back(amount / s);
  return rates;
}

Samples measure(const Plan& plan, const std::function<void()>& before, const std::function<double()>& body) {
  Samples samples;
  const auto sample = [&] {
    before();
    const double start = now();
    const double counted = body();
    return counted < 0 ? now() - start : counted;
  };
  double spent = 0;
  for (int i = 0; i < plan.most_warmups && spent < plan.warmup_seconds; ++i) {
    samples.warmup.push_back(sample());
    spent += samples.warmup.back();
    if (i > 0 && std::abs(samples.warmup[samples.warmup.size() - 2] / samples.warmup.back() - 1) < plan.steady) break;
  }
  Watch watch;
  for (int i = 0; i < plan.repetitions; ++i) {
    watch.probe();
    samples.seconds.push_back(sample());
  }
  watch.probe();
  samples.conditions = watch.finish();
  return samples;
}

}  // namespace mtmd::bench
