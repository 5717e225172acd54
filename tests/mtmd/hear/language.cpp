#include "mtmd/hear/language.h"

#include <gtest/gtest.h>

namespace mtmd {
namespace {

TEST(Language, ByCodeNameAndRegion) {
  for (const char* text : {"de", "DE", "German", "german", "de-AT", "de_CH"}) {
    const auto found = find_language(text);
    ASSERT_TRUE(found) << text;
    EXPECT_EQ(found->code, "de");
    EXPECT_EQ(found->name, "German");
  }
  EXPECT_EQ(find_language("yue")->name, "Cantonese");
  for (const char* text : {"", "xx", "Germ", "-", "auto"}) EXPECT_FALSE(find_language(text)) << text;
}

}  // namespace
}  // namespace mtmd
