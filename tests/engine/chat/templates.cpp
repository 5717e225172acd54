// Whole templates: the built-in ones, concurrency, the merge of a refused system message, the recorded renderings.
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "engine/chat/render.h"
#include "mtmd/conformance/conformance.h"

namespace mtmd::chat {
namespace {
using namespace test;

const Json conversation = {
    {"messages",
     {{{"role", "system"}, {"content", "Be brief."}},
      {{"role", "user"}, {"content", "Hi"}},
      {{"role", "assistant"}, {"content", "Hello"}},
      {{"role", "user"}, {"content", {{{"type", "image"}}, {{"type", "text"}, {"text", "What?"}}}}}}},
    {"add_generation_prompt", true},
    {"bos_token", "<s>"},
    {"eos_token", "</s>"}};

TEST(Builtin, EachWritesItsFormat) {
  const std::pair<const char*, const char*> cases[] = {
      {"chatml",
       "<|im_start|>system\nBe "
       "brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"
       "<|im_start|>user\n<__media__>What?<|im_end|>\n<|im_start|>assistant\n"},
      {"deepseek",
       "<s>Be brief.<｜User｜>Hi<｜Assistant｜>Hello<｜end▁of▁sentence｜><｜User｜><__media__>What?<｜Assistant｜>"},
      {"gemma",
       "<s><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n"
       "<start_of_turn>user\n<__media__>What?<end_of_turn>\n<start_of_turn>model\n"},
      {"llama-2", "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] <__media__>What? [/INST]"},
      {"llama-3",
       "<s><|start_header_id|>system<|end_header_id|>\n\nBe "
       "brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi"
       "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>user<|end_header_"
       "id|>\n\n"
       "<__media__>What?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
      {"mistral", "<s>[INST] Be brief.\n\nHi[/INST] Hello</s>[INST] <__media__>What?[/INST]"},
      {"phi-3",
       "<|system|>\nBe "
       "brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello<|end|>\n<|user|>\n<__media__>What?<|end|>\n"
       "<|assistant|>\n"},
      {"plain", "Be brief.HiHello<__media__>What?"},
      {"smolvlm",
       "<|im_start|>System: Be brief.<end_of_utterance>\nUser: Hi<end_of_utterance>\nAssistant: "
       "Hello<end_of_utterance>\n"
       "User:<__media__>What?<end_of_utterance>\nAssistant:"},
      {"vicuna", "Be brief.\n\nUSER: Hi\nASSISTANT: Hello</s>\nUSER: <__media__>What?\nASSISTANT:"},
      {"zephyr",
       "<|system|>\nBe "
       "brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello</s>\n<|user|>\n<__media__>What?</s>\n<|assistant|>\n"},
  };
  std::set<std::string_view> seen;
  for (const auto& [name, expected] : cases) {
    ASSERT_FALSE(builtin(name).empty()) << name;
    EXPECT_EQ(render(builtin(name), conversation), expected) << name;
    seen.insert(name);
  }
  for (const auto name : builtin_names()) EXPECT_TRUE(seen.count(name)) << name << " is not tested";
  EXPECT_TRUE(builtin("no such").empty());
}

TEST(Template, IsRenderedFromManyThreads) {
  const Template t = Template::parse(builtin("llama-3"));
  const std::string expected = t.render(conversation, now);
  std::vector<std::thread> threads;
  std::atomic<int> n_same = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 50; ++k) n_same += t.render(conversation, now) == expected;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(n_same, 200);
}

TEST(Template, ARefusedSystemMessageIsMerged) {
  const Template strict = Template::parse(
      "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
      "{% for m in messages %}[{{ m.role }}:{{ m.content if m.content is string else "
      "m.content|map(attribute='text')|join }}]"
      "{% endfor %}");
  const Json system = {{"role", "system"}, {"content", "S"}}, user = {{"role", "user"}, {"content", "U"}};
  const Json parts = {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "P"}}}}};
  bool merged = true;
  EXPECT_EQ(render_conversation(strict, {{"messages", {user}}}, now, &merged), "[user:U]");
  EXPECT_FALSE(merged);
  EXPECT_EQ(render_conversation(strict, {{"messages", {system, user}}}, now, &merged), "[user:S\nU]");
  EXPECT_TRUE(merged);
  EXPECT_EQ(render_conversation(strict, {{"messages", {system, parts}}}, now), "[user:S\nP]");
  EXPECT_THROW(render_conversation(strict, {{"messages", {system}}}, now), Error);
}

struct Tally {
  int n_passed = 0, n_failed = 0;
  std::set<std::string> files;
  std::string failures;
};

Tally run(const std::filesystem::path& path) {
  Tally t;
  conformance::run_chat(path, [&t](const conformance::Result& r) {
    t.files.insert(r.name.substr(0, r.name.find('/')));
    if (r.outcome == conformance::Outcome::passed) {
      ++t.n_passed;
    } else {
      ++t.n_failed;
      t.failures += r.name + " " + r.detail + "\n";
    }
  });
  return t;
}

TEST(Conformance, RecordedRenderings) {
  const std::filesystem::path folder = MTMD_CONFORMANCE "/chat";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not here (third-party templates are not copied)";
  const Tally t = run(folder);
  EXPECT_EQ(t.n_failed, 0) << t.failures;
  EXPECT_EQ(t.n_passed, 420);
  EXPECT_EQ(t.files.size(), 20u);
}

TEST(Conformance, DamagedRecordsFail) {
  const auto folder = std::filesystem::temp_directory_path() / ("mtmd-chat-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const Json good = {
      {"template", "{% if x %}{{ raise_exception('no') }}{% endif %}{{ messages[0].content }}{{ bos_token }}"},
      {"bos_token", "<b>"},
      {"eos_token", "<e>"},
      {"now", 0},
      {"cases",
       {{{"label", "one"},
         {"messages", {{{"role", "user"}, {"content", "hi"}}}},
         {"add_generation_prompt", true},
         {"context", Json::object()},
         {"expected", "hi<b>"}},
        {{"label", "two"},
         {"messages", {{{"role", "user"}, {"content", "hi"}}}},
         {"add_generation_prompt", false},
         {"context", {{"x", 1}}},
         {"expected", nullptr},
         {"error", "Jinja Exception: no"}}}}};
  const auto tally = [&](const std::string& text) {
    std::ofstream(folder / "a.json", std::ios::binary) << text;
    return run(folder);
  };
  EXPECT_EQ(tally(good.dump()).n_passed, 2);
  EXPECT_EQ(tally(good.dump()).n_failed, 0);
  const auto damaged = [&](auto change) {
    Json bad = good;
    change(bad);
    EXPECT_GE(tally(bad.dump()).n_failed, 1) << bad.dump();
  };
  damaged([](Json& j) { j["cases"][0]["expected"] = "hi<b> "; });
  damaged([](Json& j) { j["cases"][0].erase("expected"); });
  damaged([](Json& j) { j["cases"][1]["error"] = "Jinja Exception: yes"; });
  damaged([](Json& j) { j["cases"][1]["context"] = Json::object(); });
  damaged([](Json& j) { j["template"] = "{% if %}"; });
  damaged([](Json& j) { j["cases"] = Json::array(); });
  damaged([](Json& j) { j.erase("now"); });
  EXPECT_EQ(tally("{ not json").n_failed, 1);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mtmd::chat
