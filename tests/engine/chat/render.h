// Short-hands of the chat tests.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "engine/base/error.h"
#include "engine/chat/template.h"

namespace mtmd::chat::test {

using Json = nlohmann::ordered_json;
constexpr std::int64_t now = 1721952000;  // 2024-07-26 00:00:00 UTC, a Friday

inline std::string render(std::string_view source, const Json& context = Json::object(), const Limits& limits = {}) {
  return Template::parse(source, "t", limits).render(context, now);
}

/// The message of the Error that parsing or rendering ends in.
inline std::string error_of(std::string_view source, ErrorCategory category = ErrorCategory::model,
                            const Json& context = Json::object(), const Limits& limits = {}) {
  try {
    const std::string text = render(source, context, limits);
    ADD_FAILURE() << source.substr(0, 200) << " rendered as " << text.substr(0, 200);
    return "";
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), category) << e.what();
    return e.what();
  }
}

struct Case {
  const char *source, *expected;
};
template <std::size_t n>
void expect_all(const Case (&cases)[n], const Json& context = Json::object()) {
  for (const Case& c : cases) {
    try {
      EXPECT_EQ(render(c.source, context), c.expected) << c.source;
    } catch (const Error& e) {
      ADD_FAILURE() << c.source << ": " << e.what();
    }
  }
}

}  // namespace mtmd::chat::test
