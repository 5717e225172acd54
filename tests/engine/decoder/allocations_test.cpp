// Once everything has its size, generating a token allocates nothing, whatever the architecture.
#include <gtest/gtest.h>

#include "engine/decoder/decoder.h"
#include "engine/decoder/tiny_model.h"

long allocations();  // tests/engine/sampling/allocations.cpp

namespace mtmd::decoder {
namespace {

class Allocations : public testing::TestWithParam<std::string> {};

TEST_P(Allocations, NoneForAToken) {
  const auto device = make_device("cpu", {.threads = 1});  // which thread meets what first is chance
  Decoder model(test::small_model(GetParam()), *device, {});
  kv::Cache cache(*device, model.kv_layers(), {DType::F32, 256, 64});
  Batch b;
  const std::vector<std::int32_t> token = {3};
  for (std::int32_t i = 0; i < 60; ++i) {
    b.clear();
    b.add_text(0, token, i, true);
    const long before = allocations();
    model.forward(b, cache);
    const bool has_its_size = i > 40;
    ASSERT_TRUE(!has_its_size || allocations() == before) << "token " << i;
  }
}

std::vector<std::string> names() {
  std::vector<std::string> all = {"llama", "mixtral", "gemma3", "qwen2vl", "qwen3"};
  for (const test::TinyCase* c : test::tiny_cases()) all.emplace_back(c->name);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Models, Allocations, testing::ValuesIn(names()), [](const auto& c) { return c.param; });

}  // namespace
}  // namespace mtmd::decoder
