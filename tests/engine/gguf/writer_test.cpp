#include "engine/gguf/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "engine/gguf/bytes.h"
#include "engine/gguf/temp_folder.h"

namespace mtmd::gguf {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;

void expect_same(const Value& a, const Value& b) {
  ASSERT_EQ(a.type(), b.type());
  ASSERT_EQ(a.element_type(), b.element_type());
  ASSERT_EQ(a.size(), b.size());
  EXPECT_TRUE(std::ranges::equal(a.raw_scalars(), b.raw_scalars()));
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a.as_string(i), b.as_string(i));
    ASSERT_EQ(a.as_array(i).has_value(), b.as_array(i).has_value());
    if (a.as_array(i)) expect_same(*a.as_array(i), *b.as_array(i));
  }
}

/// Everything but the layout on disk.
void expect_same(const File& a, const File& b) {
  ASSERT_EQ(a.metadata().entries().size(), b.metadata().entries().size());
  for (std::size_t i = 0; i < a.metadata().entries().size(); ++i) {
    EXPECT_EQ(a.metadata().entries()[i].key, b.metadata().entries()[i].key);
    expect_same(a.metadata().entries()[i].value, b.metadata().entries()[i].value);
  }
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (std::size_t i = 0; i < a.tensors().size(); ++i) {
    const TensorInfo &t = a.tensors()[i], &u = b.tensors()[i];
    EXPECT_EQ(t.name, u.name);
    EXPECT_EQ(t.type, u.type);
    EXPECT_EQ(t.shape, u.shape);
    EXPECT_TRUE(std::ranges::equal(t.data, u.data)) << t.name;
  }
}

Writer copy_of(const File& f, std::uint32_t alignment = 32) {
  Writer w(alignment);
  for (const Metadata::Entry& e : f.metadata().entries()) w.set(std::string(e.key), e.value);
  for (const TensorInfo& t : f.tensors()) w.add_tensor(std::string(t.name), t.type, t.shape, t.data);
  return w;
}

TEST(GgufWriter, WritesTheBytesOfTheFormat) {
  Writer w;
  w.set("general.architecture", "test");
  w.set("n", std::uint32_t{7});
  const std::vector<std::string> words = {"x", "yz"};
  w.set("words", words);
  const testing::Bytes expected = testing::small_file();  // put together by hand
  const File f = File::from_memory(expected.data, "mem");
  w.add_tensor("a", DType::F32, {2, 3}, f.find("a")->data);
  w.add_tensor("b", DType::Q8_0, {1, 32}, f.find("b")->data);
  std::vector<std::byte> padded = expected.data;
  padded.resize((padded.size() + 31) / 32 * 32);
  EXPECT_EQ(w.to_memory(), padded);
}

TEST(GgufWriter, EverySetterReadsBack) {
  Writer w;
  w.set("bool", true);
  w.set("u32", std::uint32_t{4000000000});
  w.set("i32", std::int32_t{-5});
  w.set("u64", ~std::uint64_t{0});
  w.set("i64", std::int64_t{-1} << 40);
  w.set("f32", 0.1f);
  w.set("f64", 0.1);
  w.set("string", std::string_view("a\0b", 3));
  const std::vector<std::int32_t> ints = {1, -2, 3};
  const std::vector<float> floats = {0.5f, -0.0f};
  w.set("ints", ints);
  w.set("floats", floats);
  w.set("gone", 1.0f);
  w.remove("gone");
  w.set("i32", std::int32_t{-6});  // replaces, in place
  const std::vector<std::byte> bytes = w.to_memory();
  const File f = File::from_memory(bytes, "mem");
  const Metadata& m = f.metadata();
  ASSERT_EQ(m.entries().size(), 10u);
  EXPECT_EQ(m.entries()[2].key, "i32");
  EXPECT_EQ(m.get<bool>("bool"), true);
  EXPECT_EQ(m.get<std::uint32_t>("u32"), 4000000000u);
  EXPECT_EQ(m.get<std::int32_t>("i32"), -6);
  EXPECT_EQ(m.get<std::uint64_t>("u64"), ~std::uint64_t{0});
  EXPECT_EQ(m.get<std::int64_t>("i64"), std::int64_t{-1} << 40);
  EXPECT_EQ(m.get<float>("f32"), 0.1f);
  EXPECT_EQ(m.get<double>("f64"), 0.1);
  EXPECT_EQ(m.get<std::string_view>("string")->size(), 3u);
  EXPECT_THAT(*m.get<std::vector<std::int32_t>>("ints"), ElementsAre(1, -2, 3));
  EXPECT_THAT(*m.get<std::vector<float>>("floats"), ElementsAre(0.5f, -0.0f));
}

TEST(GgufWriter, RecordedFilesSurviveACopy) {
  for (const char* name : {"quant.golden.gguf", "probe.golden.gguf"}) {
    const File f = File::open(std::filesystem::path(MTMD_TEST_DATA) / "quant" / name);
    const std::vector<std::byte> bytes = copy_of(f).to_memory();
    expect_same(f, File::from_memory(bytes, "copy"));
  }
}

/// A random value of any type, as its bytes in a file; arrays nest.
void random_value(std::mt19937& rng, std::uint32_t type, int depth, testing::Bytes& out) {
  static constexpr std::size_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(rng() % n); };
  if (type == 8) {
    std::string s(below(20), ' ');
    for (char& c : s) c = static_cast<char>(rng());
    out.str(s);
  } else if (type == 9) {
    const std::uint32_t inner = depth >= 4 ? below(8) : below(13);
    const std::uint32_t n = below(5);
    out.num(inner).num<std::uint64_t>(n);
    for (std::uint32_t i = 0; i < n; ++i) random_value(rng, inner, depth + 1, out);
  } else {
    for (std::size_t i = 0; i < bytes[type]; ++i) out.num(static_cast<std::uint8_t>(type == 7 ? below(2) : rng()));
  }
}

TEST(GgufWriter, RandomFilesSurviveACopy) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 rng(seed);
    const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(rng() % n); };
    const std::uint32_t n_keys = below(8), n_tensors = below(5);
    testing::Bytes keys;
    for (std::uint32_t i = 0; i < n_keys; ++i) {
      const std::uint32_t type = below(13);
      keys.str("key" + std::to_string(i)).num(type);
      random_value(rng, type, 1, keys);
    }
    testing::Bytes whole;
    whole.header(0, n_keys).raw({reinterpret_cast<const char*>(keys.data.data()), keys.data.size()});
    const File metadata = File::from_memory(whole.data, "keys");
    Writer w = copy_of(metadata, 8u << below(5));
    std::vector<std::vector<std::byte>> data;
    for (std::uint32_t i = 0; i < n_tensors; ++i) {
      const auto types = all_dtypes();
      const DTypeInfo& t = types[below(static_cast<std::uint32_t>(types.size()))];
      std::vector<std::int64_t> shape(1 + below(4));
      for (std::int64_t& d : shape) d = 1 + below(3);
      shape.back() *= t.block_size;
      const auto n = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
      auto& bytes = data.emplace_back(row_bytes(t.type, n));
      for (std::byte& b : bytes) b = static_cast<std::byte>(rng());
      w.add_tensor("tensor" + std::to_string(i), t.type, shape, [bytes, i](const Writer::Sink& sink) {
        for (std::size_t at = 0; at < bytes.size(); at += 7 + i)
          sink(std::span(bytes).subspan(at, std::min<std::size_t>(7 + i, bytes.size() - at)));
      });
    }
    const std::vector<std::byte> written = w.to_memory();
    const File f = File::from_memory(written, "written");
    ASSERT_EQ(f.tensors().size(), n_tensors) << seed;
    for (std::uint32_t i = 0; i < n_tensors; ++i) EXPECT_TRUE(std::ranges::equal(f.tensors()[i].data, data[i])) << seed;
    const std::vector<std::byte> again = copy_of(f).to_memory();
    Writer keys_only = copy_of(metadata);
    const std::vector<std::byte> keys_again = keys_only.to_memory();
    expect_same(metadata, File::from_memory(keys_again, "keys again"));
    ASSERT_EQ(File::from_memory(again, "again").tensors().size(), n_tensors);
  }
}

TEST(GgufWriter, AFileAppearsWholeOrNotAtAll) {
  const TempFolder dir;
  const auto target = dir.write("m.gguf", testing::small_file().data);
  Writer w;
  w.add_tensor("t", DType::F32, {4},
               [](const Writer::Sink&) { throw std::runtime_error("reading the source failed"); });
  EXPECT_THROW(w.write(target), std::runtime_error);
  EXPECT_EQ(File::open(target).tensors().size(), 2u);  // the old one
  EXPECT_EQ(dir.n_files(), 1u);
  Writer good;
  good.set("k", 1.0f);
  good.write(target);
  EXPECT_EQ(File::open(target).metadata().entries().size(), 1u);
  EXPECT_EQ(dir.n_files(), 1u);
}

TEST(GgufWriter, WrongByteCountsAreOurMistake) {
  for (const std::size_t n : {0u, 15u, 17u}) {
    const std::vector<std::byte> bytes(n);
    Writer w;
    w.add_tensor("t", DType::F32, {4}, bytes);
    EXPECT_THAT(error_of(ErrorCategory::internal, [&] { (void)w.to_memory(); }), HasSubstr("16"));
  }
  Writer w;
  EXPECT_THROW(w.add_tensor("t", DType::Q8_0, {31}, std::span<const std::byte>()), Error);
  EXPECT_THROW(w.add_tensor("t", DType::F32, {2, 0}, std::span<const std::byte>()), Error);
  w.add_tensor("t", DType::F32, {1}, std::span<const std::byte>());
  EXPECT_THROW(w.add_tensor("t", DType::F32, {1}, std::span<const std::byte>()), Error);
}

TEST(GgufWriter, UnwritablePlacesAreOutputErrors) {
  const TempFolder dir;
  const Writer w;
  EXPECT_THAT(error_of(ErrorCategory::output, [&] { w.write(dir / "no/such/folder.gguf"); }), HasSubstr("folder.gguf"));
  EXPECT_THAT(error_of(ErrorCategory::output, [&] { w.write(dir.path()); }), HasSubstr("not a regular file"));
  EXPECT_THAT(error_of(ErrorCategory::output, [&] { w.write("/dev/full"); }), HasSubstr("not a regular file"));
}

TEST(GgufWriter, ALinkStaysALink) {
  const TempFolder dir;
  const auto real = dir.write("real.gguf", testing::small_file().data);
  std::filesystem::create_symlink(real, dir / "link.gguf");
  Writer().write(dir / "link.gguf");
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "link.gguf"));
  EXPECT_EQ(File::open(real).tensors().size(), 0u);
}

TEST(GgufWriter, AFullDiskIsAnOutputError) {
  const TempFolder dir;
  const auto target = dir.write("m.gguf", testing::small_file().data);
  const std::vector<std::byte> bytes(4 << 20);
  Writer w;
  w.add_tensor("t", DType::I8, {4 << 20}, bytes);
  // A file size limit stands in for the full disk: the kernel stops the write half way, with an error.
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1 << 20, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto message = error_of(ErrorCategory::output, [&] { w.write(target); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, SIG_DFL);
  EXPECT_THAT(message, HasSubstr("cannot write"));
  EXPECT_EQ(File::open(target).tensors().size(), 2u);
  EXPECT_EQ(dir.n_files(), 1u);
}

}  // namespace
}  // namespace mtmd::gguf
