#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "engine/base/error.h"
#include "engine/gguf/bytes.h"
#include "engine/gguf/gguf.h"

namespace mtmd::gguf {
namespace {

using ::testing::AllOf;
using testing::Bytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

File open(const Bytes& b) { return File::from_memory(b.data, "mem.gguf"); }

/// The message of the Error(model) that opening throws.
std::string refusal(const Bytes& b, const Limits& limits = {}) {
  try {
    File::from_memory(b.data, "mem.gguf", limits);
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::model);
    return e.what();
  }
  return "(no error)";
}

TEST(GgufReader, SmallFile) {
  const Bytes b = testing::small_file();
  const File f = open(b);
  EXPECT_EQ(f.version(), 3u);
  EXPECT_EQ(f.alignment(), 32u);
  EXPECT_EQ(f.file_bytes(), b.data.size());
  EXPECT_EQ(f.metadata().require<std::string_view>("general.architecture"), "test");
  EXPECT_EQ(f.metadata().require<std::uint32_t>("n"), 7u);
  EXPECT_THAT(*f.metadata().get<std::vector<std::string_view>>("words"), ElementsAre("x", "yz"));
  ASSERT_EQ(f.tensors().size(), 2u);
  const TensorInfo* a = f.find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_THAT(a->shape, ElementsAre(2, 3));
  EXPECT_EQ(a->n_values(), 6);
  ASSERT_EQ(a->data.size(), 24u);
  float third;
  std::memcpy(&third, a->data.data() + 8, 4);
  EXPECT_EQ(third, 3.0f);
  EXPECT_EQ(f.find("b")->type, DType::Q8_0);
  EXPECT_EQ(f.find("b")->data.size(), 34u);
  EXPECT_EQ(f.find("b")->data.data(), b.data.data() + f.find("b")->offset);  // no copy
  EXPECT_EQ(f.find("c"), nullptr);
}

TEST(GgufReader, Version2IsTheSame) {
  Bytes b = testing::small_file();
  b.data[4] = std::byte{2};
  EXPECT_EQ(open(b).version(), 2u);
}

TEST(GgufReader, EveryScalarType) {
  Bytes b;
  b.header(0, 12);
  b.key("u8", 0, std::uint8_t{250}).key("i8", 1, std::int8_t{-3}).key("u16", 2, std::uint16_t{65535});
  b.key("i16", 3, std::int16_t{-300}).key("u32", 4, std::uint32_t{4000000000}).key("i32", 5, std::int32_t{-70000});
  b.key("f32", 6, 0.5f).key("bool", 7, std::uint8_t{1}).key("string", "h\xc3\xa9");
  b.key("u64", 10, std::uint64_t{1} << 63)
      .key("i64", 11, std::numeric_limits<std::int64_t>::min())
      .key("f64", 12, 1e300);
  const File f = open(b);
  const Metadata& m = f.metadata();
  EXPECT_EQ(m.entries().size(), 12u);
  EXPECT_EQ(m.entries()[2].key, "u16");  // file order
  EXPECT_EQ(m.get<std::int64_t>("u8"), 250);
  EXPECT_EQ(m.get<std::int32_t>("i8"), -3);
  EXPECT_EQ(m.get<std::uint32_t>("u16"), 65535u);
  EXPECT_EQ(m.get<std::int32_t>("i16"), -300);
  EXPECT_EQ(m.get<std::uint64_t>("u32"), 4000000000u);
  EXPECT_EQ(m.get<std::int64_t>("i32"), -70000);
  EXPECT_EQ(m.get<float>("f32"), 0.5f);
  EXPECT_EQ(m.get<double>("f32"), 0.5);
  EXPECT_EQ(m.get<bool>("bool"), true);
  EXPECT_EQ(m.get<std::string_view>("string"), "h\xc3\xa9");
  EXPECT_EQ(m.get<std::uint64_t>("u64"), std::uint64_t{1} << 63);
  EXPECT_EQ(m.find("u64")->as_integer(), std::nullopt);
  EXPECT_EQ(m.find("u64")->as_number(), 0x1p63);
  EXPECT_EQ(m.get<std::int64_t>("i64"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(m.get<double>("f64"), 1e300);
  EXPECT_EQ(m.get<float>("missing"), std::nullopt);
  EXPECT_EQ(m.get_or<float>("missing", 2.0f), 2.0f);
  EXPECT_THAT(*m.get<std::vector<std::int32_t>>("i8"), ElementsAre(-3));  // a scalar is a list of one
}

TEST(GgufReader, WrongTypesAreNamed) {
  Bytes b;
  b.header(0, 4).key("big", 10, std::uint64_t{1} << 40).key("neg", 5, std::int32_t{-1});
  b.key("text", "seven").key("wide", 12, 1e300);
  const File f = open(b);
  const Metadata& m = f.metadata();
  const auto message = [&](auto get) {
    try {
      get();
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), ErrorCategory::model);
      return std::string(e.what());
    }
    return std::string("(no error)");
  };
  EXPECT_THAT(message([&] { m.get<std::int32_t>("big"); }),
              AllOf(HasSubstr("mem.gguf"), HasSubstr("'big'"), HasSubstr("1099511627776 (u64)"), HasSubstr("32-bit")));
  EXPECT_THAT(message([&] { m.get<std::uint32_t>("neg"); }), AllOf(HasSubstr("-1 (i32)"), HasSubstr("unsigned")));
  EXPECT_THAT(message([&] { m.get<std::uint32_t>("text"); }), HasSubstr("'seven' (string)"));
  EXPECT_THAT(message([&] { m.get<float>("neg"); }), HasSubstr("floating-point"));
  EXPECT_THAT(message([&] { m.get<float>("wide"); }), HasSubstr("1e+300"));
  EXPECT_THAT(message([&] { m.get<bool>("neg"); }), HasSubstr("a bool"));
  EXPECT_THAT(message([&] { m.require<bool>("gone"); }), AllOf(HasSubstr("'gone'"), HasSubstr("missing")));
}

TEST(GgufReader, Arrays) {
  Bytes b;
  b.header(0, 4);
  b.str("ints").num<std::uint32_t>(9).num<std::uint32_t>(2).num<std::uint64_t>(3);
  b.num<std::uint16_t>(1).num<std::uint16_t>(2).num<std::uint16_t>(60000);
  b.str("bools")
      .num<std::uint32_t>(9)
      .num<std::uint32_t>(7)
      .num<std::uint64_t>(2)
      .num<std::uint8_t>(1)
      .num<std::uint8_t>(0);
  b.str("empty").num<std::uint32_t>(9).num<std::uint32_t>(8).num<std::uint64_t>(0);
  b.str("nested").num<std::uint32_t>(9).num<std::uint32_t>(9).num<std::uint64_t>(2);
  b.num<std::uint32_t>(8).num<std::uint64_t>(1).str("in");
  b.num<std::uint32_t>(6).num<std::uint64_t>(2).num(1.5f).num(-2.0f);
  const File f = open(b);
  const Metadata& m = f.metadata();
  EXPECT_THAT(*m.get<std::vector<std::int32_t>>("ints"), ElementsAre(1, 2, 60000));
  EXPECT_THAT(*m.get<std::vector<bool>>("bools"), ElementsAre(true, false));
  EXPECT_TRUE(m.get<std::vector<std::string_view>>("empty")->empty());
  EXPECT_THROW(m.get<std::vector<float>>("ints"), Error);
  EXPECT_THROW(m.get<std::int32_t>("ints"), Error);
  const Value* nested = m.find("nested");
  ASSERT_EQ(nested->size(), 2u);
  EXPECT_EQ(nested->as_array(0)->as_string(0), "in");
  EXPECT_EQ(nested->as_array(1)->as_number(1), -2.0);
  EXPECT_EQ(nested->as_array(2), std::nullopt);
  EXPECT_EQ(nested->as_integer(0), std::nullopt);
}

TEST(GgufReader, Headers) {
  EXPECT_THAT(refusal(Bytes()), HasSubstr("not a GGUF file"));
  EXPECT_THAT(refusal(Bytes().raw("GGML").zeros(100)), HasSubstr("not a GGUF file"));
  EXPECT_THAT(refusal(Bytes().header(0, 0, 1)), HasSubstr("GGUF version 1; versions 2 and 3"));
  EXPECT_THAT(refusal(Bytes().header(0, 0, 4)), HasSubstr("GGUF version 4"));
  EXPECT_THAT(refusal(Bytes().header(0, 0, 0x03000000)), HasSubstr("big-endian"));
  EXPECT_EQ(open(Bytes().header(0, 0)).tensors().size(), 0u);
}

TEST(GgufReader, HugeCountsAreRefusedBeforeTheyAreBelieved) {
  for (const std::uint64_t n : {std::uint64_t{1} << 16, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    EXPECT_THAT(refusal(Bytes().header(0, n)), HasSubstr("key count"));
    EXPECT_THAT(refusal(Bytes().header(n, 0)), HasSubstr("tensor count"));
    EXPECT_THAT(refusal(Bytes().header(0, 1).num(n).zeros(8)), HasSubstr("the name of key 1"));
    EXPECT_THAT(refusal(Bytes().header(0, 1).str("k").num<std::uint32_t>(8).num(n)), HasSubstr("'k'"));
    for (const std::uint32_t type : {0u, 7u, 8u, 9u, 12u}) {
      Bytes b;
      b.header(0, 1).str("k").num<std::uint32_t>(9).num(type).num(n);
      EXPECT_THAT(refusal(b), AllOf(HasSubstr("the array of key 'k'"), HasSubstr("counts")));
    }
  }
}

TEST(GgufReader, LimitsHold) {
  EXPECT_THAT(refusal(testing::small_file(), {.max_keys = 2}), HasSubstr("at most 2"));
  EXPECT_THAT(refusal(testing::small_file(), {.max_tensors = 1}), HasSubstr("at most 1"));
  EXPECT_THAT(refusal(testing::small_file(), {.max_string_bytes = 3}), HasSubstr("at most 3"));
  EXPECT_THAT(refusal(testing::small_file(), {.max_key_bytes = 10}), HasSubstr("at most 10"));
  EXPECT_THAT(refusal(testing::small_file(), {.max_dims = 1}), HasSubstr("at most 1"));
  EXPECT_THAT(refusal(testing::small_file(), {.max_elements = 1}), HasSubstr("at most 1"));
  EXPECT_THAT(refusal(testing::small_file(), {.max_array_strings = 1}), HasSubstr("more than 1 strings"));
  Bytes deep;
  deep.header(0, 1).str("k").num<std::uint32_t>(9);
  for (int i = 0; i < 100000; ++i) deep.num<std::uint32_t>(9).num<std::uint64_t>(1);
  EXPECT_THAT(refusal(deep), HasSubstr("nested more than 4 deep"));
}

TEST(GgufReader, BadMetadata) {
  EXPECT_THAT(refusal(Bytes().header(0, 2).key("k", 4, 1u).key("k", 4, 2u)), HasSubstr("key 'k' appears twice"));
  EXPECT_THAT(refusal(Bytes().header(0, 1).key("k", 13, 1u)), HasSubstr("value type 13"));
  EXPECT_THAT(refusal(Bytes().header(0, 1).key("k", 7, std::uint8_t{2})), HasSubstr("expected 0 or 1"));
  EXPECT_THAT(refusal(Bytes().header(0, 1).key("", 4, 1u)), HasSubstr("empty name"));
  EXPECT_THAT(refusal(Bytes().header(0, 1).key("a\x1b[31m", 7, std::uint8_t{9})), HasSubstr("'a\\x1b[31m'"));
  for (const std::uint32_t alignment : {0u, 1u, 4u, 24u, 33u, 1u << 21})
    EXPECT_THAT(refusal(Bytes().header(0, 1).key("general.alignment", 4, alignment)), HasSubstr("power of two"));
  EXPECT_THAT(refusal(Bytes().header(0, 1).key("general.alignment", "32")), HasSubstr("unsigned 32-bit"));
  EXPECT_EQ(open(Bytes().header(0, 1).key("general.alignment", 4, 64u)).alignment(), 64u);
}

TEST(GgufReader, BadTensors) {
  const auto one = [](std::vector<std::int64_t> ne, std::uint32_t type, std::uint64_t offset) {
    return refusal(Bytes().header(1, 0).tensor("t", ne, type, offset).pad().zeros(256));
  };
  EXPECT_EQ(one({8, 8}, 0, 0), "(no error)");
  EXPECT_THAT(one({8, 8, 1, 1, 1}, 0, 0), HasSubstr("5 dimensions"));
  EXPECT_THAT(one({8, 0}, 0, 0), HasSubstr("dimension 1 is 0"));
  EXPECT_THAT(one({-8}, 0, 0), HasSubstr("dimension 0 is -8"));
  EXPECT_THAT(one({std::int64_t{1} << 40, std::int64_t{1} << 40}, 0, 0), HasSubstr("2^63"));
  EXPECT_THAT(one({std::int64_t{1} << 62}, 0, 0), HasSubstr("more than the file"));
  EXPECT_THAT(one({8, 8}, 4, 0), AllOf(HasSubstr("tensor 't'"), HasSubstr("unknown type id 4")));
  EXPECT_THAT(one({8, 8}, 99, 0), HasSubstr("unknown type id 99"));
  EXPECT_THAT(one({33}, 8, 0), HasSubstr("rows of 33 values are not a multiple of the Q8_0 block of 32"));
  EXPECT_THAT(one({16, 2}, 8, 0), HasSubstr("rows of 16"));
  EXPECT_THAT(one({8, 8}, 0, 8), HasSubstr("not a multiple of the alignment"));
  EXPECT_THAT(one({8, 8}, 0, 32), HasSubstr("reach beyond"));
  EXPECT_THAT(one({8, 8}, 0, ~std::uint64_t{31}), HasSubstr("reach beyond"));
}

TEST(GgufReader, TensorsMustNotOverlapOrRepeat) {
  Bytes b;
  b.header(2, 0).tensor("a", {16}, 0, 32).tensor("b", {16}, 0, 0).pad().zeros(256);
  EXPECT_THAT(refusal(b), AllOf(HasSubstr("'b' and 'a' overlap")));
  Bytes twice;
  twice.header(2, 0).tensor("a", {8}, 0, 0).tensor("a", {8}, 0, 32).pad().zeros(64);
  EXPECT_THAT(refusal(twice), HasSubstr("tensor 'a' appears twice"));
  Bytes gap;  // gaps are allowed, and so is any order
  gap.header(2, 0).tensor("a", {8}, 0, 64).tensor("b", {8}, 0, 0).pad().zeros(96);
  EXPECT_EQ(open(gap).find("a")->offset % 32, 0u);
}

TEST(GgufReader, AScalarTensorHasOneDimension) {
  Bytes b;
  b.header(1, 0).tensor("s", {}, 0, 0).pad().num(2.5f);
  EXPECT_THAT(open(b).find("s")->shape, ElementsAre(1));
}

/// Looks at everything a file offers, so that a sanitizer sees any view that leaves the bytes.
std::size_t walk(const File& f) {
  std::size_t sum = 0;
  const std::function<void(const Value&)> value = [&](const Value& v) {
    for (std::size_t i = 0; i < v.size(); ++i) {
      sum += static_cast<std::size_t>(v.as_integer(i).value_or(1)) + v.as_bool(i).value_or(false);
      sum += v.as_number(i).has_value();
      if (const auto s = v.as_string(i))
        for (const char c : *s) sum += static_cast<unsigned char>(c);
      if (const auto inner = v.as_array(i)) value(*inner);
    }
  };
  for (const Metadata::Entry& e : f.metadata().entries()) value(e.value);
  for (const TensorInfo& t : f.tensors())
    for (const std::byte b : t.data) sum += static_cast<std::size_t>(b);
  return sum;
}

TEST(GgufReader, EveryTruncationIsRefused) {
  const Bytes whole = testing::small_file();
  walk(open(whole));
  for (std::size_t n = 0; n < whole.data.size(); ++n) {
    const std::vector<std::byte> cut(whole.data.begin(), whole.data.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_THROW(File::from_memory(cut, "cut"), Error) << n;
  }
}

TEST(GgufReader, NoBitFlipBreaksIt) {
  const Bytes whole = testing::small_file();
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < whole.data.size() * 8; ++bit) {
    std::vector<std::byte> flipped = whole.data;
    flipped[bit / 8] ^= std::byte{1} << bit % 8;
    try {
      walk(File::from_memory(flipped, "flipped"));
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace mtmd::gguf
