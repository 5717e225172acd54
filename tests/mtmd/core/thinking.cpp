#include <gtest/gtest.h>

#include "mtmd/read.h"

namespace mtmd {
namespace {

TEST(WithoutThinking, TakesBlocksOut) {
  EXPECT_EQ(without_thinking("plain"), "plain");
  EXPECT_EQ(without_thinking("<think>hm</think>\n\nanswer"), "answer");
  EXPECT_EQ(without_thinking("a <think>b</think>c<think>d</think>e"), "a ce");
  EXPECT_EQ(without_thinking("hm, so</think>answer"), "answer");  // the template opened the block
  EXPECT_EQ(without_thinking("<think>never closed"), "");
  EXPECT_EQ(without_thinking(""), "");
}

}  // namespace
}  // namespace mtmd
