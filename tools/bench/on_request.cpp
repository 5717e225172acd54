#include "bench/on_request.h"

#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/measure.h"
#include "engine/base/error.h"

namespace mtmd::bench {

void serve_samples(TextRunner& runner, std::span<const Test> tests, cli::Console& console) {
  nlohmann::ordered_json names = nlohmann::ordered_json::array();
  for (const Test& t : tests) names.push_back(t.name());
  const auto say = [&](const nlohmann::ordered_json& line) {
    console.result(line.dump() + "\n");
    console.flush_result();
  };
  say({{"ready", fmt::format("mtmd, {}", runner.device().info().description)}, {"tests", names}});
  for (std::string line; std::getline(std::cin, line);) {
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), index);
    if (error != std::errc() || end != line.data() + line.size() || index >= tests.size())
      fail(ErrorCategory::usage, "bench --on-request: '{}' on stdin, expected the index of a test, 0 to {}", line,
           tests.size() - 1);
    runner.prepare(tests[index]);
    const double start = now();
    runner.run(tests[index]);
    say({{"test", index}, {"seconds", now() - start}});
  }
}

}  // namespace mtmd::bench
