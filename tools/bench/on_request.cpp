#include "bench/on_request.h"

#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/measure.h"
#include "engine/base/error.h"

namespace mtmd::bench {

void serve_samples(std::string_view what, std::span<const Served> tests, cli::Console& console) {
  nlohmann::ordered_json names = nlohmann::ordered_json::array(), tokens = names;
  for (const Served& t : tests) {
    names.push_back(t.name);
    tokens.push_back(t.tokens);
  }
  const auto say = [&](const nlohmann::ordered_json& line) {
    console.result(line.dump() + "\n");
    console.flush_result();
  };
  say({{"ready", what}, {"tests", names}, {"tokens", tokens}});
  for (std::string line; std::getline(std::cin, line);) {
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), index);
    if (error != std::errc() || end != line.data() + line.size() || index >= tests.size())
      fail(ErrorCategory::usage, "bench --on-request: '{}' on stdin, expected the index of a test, 0 to {}", line,
           tests.size() - 1);
    tests[index].prepare();
    const double start = now();
    tests[index].run();
    say({{"test", index}, {"seconds", now() - start}});
  }
}

}  // namespace mtmd::bench
