#include "mtmd/quantize/file_type.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "engine/base/error.h"

namespace mtmd::quantize::test {
namespace {

using ::testing::HasSubstr;

TEST(FileTypes, NamesNumbersAndAliases) {
  EXPECT_EQ(file_type("Q4_K_M").number(), 15);
  EXPECT_EQ(file_type("q4_k").name, "Q4_K_M");
  EXPECT_EQ(file_type("15").name, "Q4_K_M");
  EXPECT_EQ(file_type("Q3_K").name, "Q3_K_M");
  EXPECT_EQ(file_type("0").name, "F32");
  EXPECT_EQ(file_type("mxfp4_moe").number(), 38);
  EXPECT_TRUE(file_type("copy").copies());
  for (const FileType& t : file_types()) {
    EXPECT_EQ(find_file_type(t.name), &t);
    if (t.copies() || t.id == FileType::Id::MXFP4) continue;
    EXPECT_EQ(find_file_type(std::to_string(t.number())), &t) << t.name;
  }
}

TEST(FileTypes, AWrongNameGetsTheNearestOne) {
  for (const auto& [wrong, nearest] :
       {std::pair{"Q4_KM", "Q4_K_M"}, {"Q4KM", "Q4_K_M"}, {"q8", "Q8_0"}, {"Q6K", "Q6_K"}, {"iq3xxs", "IQ3_XXS"}}) {
    if (find_file_type(wrong)) continue;  // an alias
    try {
      file_type(wrong);
      FAIL() << wrong;
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), ErrorCategory::usage);
      EXPECT_THAT(e.what(), HasSubstr(nearest));
    }
  }
  for (const char* wrong : {"", "1000", "1001", "-1", "4", "99999999999999", "Q4_K_M ", "Q9_Z"})
    EXPECT_EQ(find_file_type(wrong), nullptr) << wrong;
  EXPECT_EQ(tensor_type("q5_k", "--x"), DType::Q5_K);
  EXPECT_THROW(tensor_type("Q8_K", "--x"), Error);  // of activations only
  EXPECT_THROW(tensor_type("Q4_K_M", "--x"), Error);
}

}  // namespace
}  // namespace mtmd::quantize::test
