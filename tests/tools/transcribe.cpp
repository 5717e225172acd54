// mtmd transcribe around a model of random weights: what it says is noise, what happens to it is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "mtmd/hear/speech.h"
#include "tools/process.h"

namespace mtmd::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::ordered_json;
using Arguments = std::vector<std::string>;

const std::string kKit = MTMD_CONFORMANCE "/media/voxtral";

class Transcribe : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kKit)) GTEST_SKIP() << kKit << " of the conformance kit is not there";
  }

  /// `n` utterances of 1.6 s with pauses between them.
  std::string talk(const std::string& name, int n) const {
    std::vector<float> sound;
    for (int i = 0; i < n; ++i) {
      speak(sound, 1.6);
      pause(sound, 0.8);
    }
    write_file(folder / name, wav(sound));
    return (folder / name).string();
  }
  std::string path(const std::string& name) const { return (folder / name).string(); }

  /// transcribe with the kit's model, short windows and few tokens.
  static Outcome transcribe(const Arguments& more, const RunOptions& options = {}) {
    Arguments all = {"transcribe", "-m", kKit + "/model.gguf", "--mmproj", kKit + "/mmproj.gguf", "--window", "4",
                     "-n",         "5"};
    all.insert(all.end(), more.begin(), more.end());
    return run(all, options);
  }

  TemporaryFolder folder;
};

/// What a player reads of an SRT or WebVTT file: begin and end of every cue, in milliseconds.
std::vector<std::pair<long, long>> cues(const std::string& file) {
  static const std::regex time(R"((\d\d):(\d\d):(\d\d)[,.](\d{3}) --> (\d\d):(\d\d):(\d\d)[,.](\d{3})\n[^\n]+\n)");
  std::vector<std::pair<long, long>> found;
  for (std::sregex_iterator i(file.begin(), file.end(), time), end; i != end; ++i) {
    const auto at = [&](std::size_t k) {
      return ((std::stol((*i)[k]) * 60 + std::stol((*i)[k + 1])) * 60 + std::stol((*i)[k + 2])) * 1000 +
             std::stol((*i)[k + 3]);
    };
    found.emplace_back(at(1), at(5));
  }
  return found;
}

TEST_F(Transcribe, AllFormatsSayTheSame) {
  const Outcome r = transcribe({talk("talk.wav", 5), "--out-dir", path("out"), "-f", "txt,srt,vtt,tsv,csv,json,jsonl"});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.out, "");
  const Json json = Json::parse(read_file(folder / "out/talk.json"));
  const auto& segments = json["segments"];
  ASSERT_GE(segments.size(), 2u);
  const auto srt = cues(read_file(folder / "out/talk.srt")), vtt = cues(read_file(folder / "out/talk.vtt"));
  EXPECT_EQ(srt, vtt);
  ASSERT_EQ(srt.size(), segments.size());
  double end = 0;
  std::string text;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(srt[i].first), segments[i]["begin"].get<double>() * 1000, 0.51);
    EXPECT_NEAR(static_cast<double>(srt[i].second), segments[i]["end"].get<double>() * 1000, 0.51);
    EXPECT_GE(segments[i]["begin"].get<double>(), end);
    EXPECT_EQ(segments[i]["timing"], "speech");
    end = segments[i]["end"];
    text += (i > 0 ? "\n" : "") + segments[i]["text"].get<std::string>();
  }
  EXPECT_EQ(json["text"], text);
  EXPECT_EQ(std::ranges::count(read_file(folder / "out/talk.tsv"), '\n'), std::ssize(segments) + 1);
  EXPECT_EQ(std::ranges::count(read_file(folder / "out/talk.csv"), '\n'), std::ssize(segments) + 1);
  EXPECT_EQ(Json::parse(read_file(folder / "out/talk.jsonl"))["segments"], segments);
  const auto& medium = json["media"][0];
  EXPECT_EQ(medium["kind"], "audio");
  EXPECT_EQ(medium["rate"], 16000);
  EXPECT_DOUBLE_EQ(medium["seconds"], 12);
  EXPECT_DOUBLE_EQ(medium["covered_seconds"], 12);  // nothing is lost
  EXPECT_GT(medium["tokens"], 0);
  EXPECT_EQ(medium["tiles"], json["windows"].size());
  EXPECT_DOUBLE_EQ(json["windows"].back()["end"], 12);
  EXPECT_EQ(json["windows"][0]["attempts"][0]["finish_reason"], "length");
}

TEST_F(Transcribe, SilenceHasNoText) {
  write_file(folder / "silent.wav", wav(std::vector<float>(40 * kSoundRate)));
  const Outcome r = transcribe({path("silent.wav"), "--out-dir", path("out"), "-f", "txt,srt,vtt,json"});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(read_file(folder / "out/silent.txt"), "");
  EXPECT_EQ(read_file(folder / "out/silent.srt"), "");
  EXPECT_EQ(read_file(folder / "out/silent.vtt"), "WEBVTT\n");
  const Json json = Json::parse(read_file(folder / "out/silent.json"));
  EXPECT_TRUE(json["segments"].empty());
  EXPECT_DOUBLE_EQ(json["media"][0]["covered_seconds"], 40);
  EXPECT_DOUBLE_EQ(json["media"][0]["heard_seconds"], 0);
  const Json heard =
      Json::parse(transcribe({path("silent.wav"), "--duration", "4", "--vad", "off", "-f", "jsonl"}).out);
  EXPECT_DOUBLE_EQ(heard["media"][0]["heard_seconds"], 4);
}

TEST_F(Transcribe, FromPipesAndWithoutAHeader) {
  const std::string file = talk("talk.wav", 3), bytes = read_file(file);
  const Outcome whole = transcribe({file});
  EXPECT_EQ(whole.status, 0) << whole.err;
  EXPECT_NE(whole.out, "");
  EXPECT_EQ(transcribe({"-"}, {.input = bytes}).out, whole.out);
  const Outcome raw = transcribe({"-", "--pcm-rate", "16000"}, {.input = bytes.substr(44)});
  EXPECT_EQ(raw.out, whole.out) << raw.err;
  EXPECT_EQ(transcribe({file, "--pcm-format", "s16le"}).status, 2);
  EXPECT_EQ(transcribe({file, "--pcm-rate", "16000", "--pcm-format", "s17"}).status, 2);
}

TEST_F(Transcribe, TimesAreThoseOfTheFileAlsoBehindAStart) {
  const std::string file = talk("talk.wav", 6);
  const Json r = Json::parse(transcribe({file, "--start", "4.8", "--duration", "4.8", "-f", "jsonl"}).out);
  EXPECT_DOUBLE_EQ(r["media"][0]["covered_seconds"], 4.8);
  for (const auto& s : r["segments"]) {
    EXPECT_GE(s["begin"], 4.8);
    EXPECT_LE(s["end"], 9.6);
  }
  EXPECT_DOUBLE_EQ(r["windows"][0]["begin"], 4.8);
  EXPECT_EQ(transcribe({file, "--start", "100"}).status, 4);
}

TEST_F(Transcribe, WhisperCliAliases) {
  const std::string file = talk("talk.wav", 2);
  ASSERT_EQ(transcribe({"-osrt", "-ovtt", "-oj", "-otxt", "-otsv", "-ocsv", "-of", path("base"), file}).status, 0);
  for (const char* format : {"srt", "vtt", "json", "txt", "tsv", "csv"})
    EXPECT_NE(read_file(folder / ("base." + std::string(format))), "") << format;
  EXPECT_FALSE(fs::exists(folder / "base.journal"));
  EXPECT_EQ(transcribe({"-osrt", file}).status, 0);
  EXPECT_EQ(read_file(folder / "talk.wav.srt"), read_file(folder / "base.srt"));
  EXPECT_EQ(transcribe({"-osrt", file}).status, 2);  // it is there now
  EXPECT_EQ(transcribe({"-osrt", "-"}, {.input = read_file(file)}).status, 2);
}

TEST_F(Transcribe, DamageIsSaid) {
  const std::string whole = read_file(talk("talk.wav", 4));
  write_file(folder / "cut.wav", std::string_view(whole).substr(0, whole.size() / 2));
  const Outcome cut = transcribe({path("cut.wav"), "-f", "jsonl"});
  EXPECT_EQ(cut.status, 3) << cut.err;
  EXPECT_THAT(cut.err, HasSubstr("cut.wav"));
  const Json record = Json::parse(cut.out);
  EXPECT_EQ(record["status"], "ok");
  EXPECT_EQ(record["partial"], true);
  EXPECT_FALSE(record["warnings"].empty());
  EXPECT_FALSE(record["segments"].empty());
  EXPECT_NEAR(record["media"][0]["covered_seconds"], 4.8, 0.1);

  write_file(folder / "no.wav", "this is no recording");
  write_file(folder / "empty.wav", "");
  write_file(folder / "header.wav", std::string_view(whole).substr(0, 44));
  for (const char* name : {"no.wav", "empty.wav", "header.wav", "missing.wav"})
    EXPECT_EQ(transcribe({path(name)}).status, 4) << name;
  EXPECT_EQ(transcribe({path("no.wav"), path("talk.wav")}).status, 3);
}

TEST_F(Transcribe, WhatCannotBeHonouredIsAnError) {
  const std::string file = talk("talk.wav", 1);
  const Outcome deaf = run({"transcribe", "-m", kKit + "/model.gguf", "--no-mmproj", file});
  EXPECT_EQ(deaf.status, 2);
  EXPECT_THAT(deaf.err, HasSubstr("no audio encoder"));
  EXPECT_EQ(transcribe({file, file, "-f", "srt"}).status, 2);
  EXPECT_EQ(transcribe({file, "-f", "srt,vtt"}).status, 2);
  EXPECT_EQ(transcribe({file, "-l", "Klingon"}).status, 2);
  EXPECT_EQ(transcribe({file, "--vad", "perhaps"}).status, 2);
  EXPECT_EQ(transcribe({file, "--resume"}).status, 2);
}

TEST_F(Transcribe, AFullDiskAndAClosedPipe) {
  const std::string file = talk("talk.wav", 2);
  EXPECT_EQ(transcribe({file}, {.out_path = "/dev/full"}).status, 8);
  EXPECT_EQ(transcribe({file}, {.close_out = true}).status, 8);
  EXPECT_EQ(transcribe({file, "-o", "/nonexistent/folder/x"}).status, 8);
}

TEST_F(Transcribe, AKillWithinARecordingLosesAndRepeatsNothing) {
  const std::string file = talk("long.wav", 60);
  ASSERT_EQ(transcribe({file, "-f", "json", "-o", path("whole")}).status, 0);
  const Outcome killed = transcribe({file, "-f", "json", "-o", path("cut")},
                                    {.kill_after_ms = 50, .signal = SIGKILL, .wait_for = path("cut.journal")});
  ASSERT_EQ(killed.status, 128 + SIGKILL);
  EXPECT_FALSE(fs::exists(folder / "cut"));
  const auto pieces = [&] {
    std::multiset<std::string> keys;
    std::istringstream lines(read_file(folder / "cut.journal"));
    for (std::string line; std::getline(lines, line);)
      if (const Json j = Json::parse(line, nullptr, false); j.is_object()) keys.insert(j["key"].get<std::string>());
    return keys;
  };
  const auto before = pieces();
  ASSERT_GT(before.size(), 0u);
  // Interrupted again, in the orderly way, then to the end.
  const Outcome interrupted = transcribe({file, "-f", "json", "-o", path("cut"), "--resume"},
                                         {.kill_after_ms = 50, .signal = SIGINT, .wait_for = path("cut.journal")});
  if (interrupted.status != 0) {
    EXPECT_EQ(interrupted.status, 130) << interrupted.err;
    EXPECT_THAT(interrupted.err, HasSubstr("--resume"));
    const auto after = pieces();
    EXPECT_EQ(after.size(), std::set<std::string>(after.begin(), after.end()).size());  // no window twice
    for (const auto& key : before) EXPECT_EQ(after.count(key), 1u);
    const Outcome resumed = transcribe({file, "-v", "-f", "json", "-o", path("cut"), "--resume"});
    EXPECT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_THAT(resumed.err, Not(HasSubstr("(0 known")));
  }
  Json whole = Json::parse(read_file(folder / "whole"))[0], cut = Json::parse(read_file(folder / "cut"))[0];
  whole.erase("timings_ms"), cut.erase("timings_ms");
  EXPECT_EQ(whole, cut);
  EXPECT_FALSE(fs::exists(folder / "cut.journal"));
}

TEST_F(Transcribe, ASilentPipeIsInterrupted) {
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int writer = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC);  // somebody who may yet write
  const Outcome r = transcribe({pipe.string()}, {.kill_after_ms = 500, .signal = SIGINT});
  ::close(writer);
  EXPECT_EQ(r.status, 130) << r.err;
}

TEST_F(Transcribe, ProgressInSecondsOfSound) {
  const Outcome r = transcribe({talk("talk.wav", 3), "--progress", "json"});
  EXPECT_EQ(r.status, 0);
  const Json line =
      Json::parse(r.err.substr(r.err.find("{\"progress\":{\"done\":0,\"total\":1,\"item\""), r.err.find('\n')));
  EXPECT_TRUE(line["progress"].contains("seconds"));
  EXPECT_THAT(r.err, HasSubstr("\"audio_seconds_total\":7.2"));
  EXPECT_THAT(transcribe({path("talk.wav")}).err, Not(HasSubstr("7.2")));
}

TEST_F(Transcribe, ATimeLimitGivesWhatWasHeard) {
  const Outcome r = transcribe({talk("long.wav", 60), "--timeout", "0.3", "-f", "jsonl"});
  const Json record = Json::parse(r.out);
  if (record["finish_reason"] != "timeout") GTEST_SKIP() << "it was faster";
  EXPECT_EQ(r.status, 3);
  EXPECT_EQ(record["partial"], true);
  EXPECT_LT(record["media"][0]["covered_seconds"], record["media"][0]["seconds"]);
}

TEST_F(Transcribe, OnlyWhatFailedIsDoneAgain) {
  const std::string good = talk("good.wav", 1), out = path("out");
  write_file(folder / "bad.wav", "nothing");
  ASSERT_EQ(transcribe({good, path("bad.wav"), "--out-dir", out}).status, 3);
  write_file(folder / "bad.wav", read_file(talk("mended.wav", 2)));
  (void)talk("other.wav", 3);
  const Outcome again = transcribe({good, path("bad.wav"), path("other.wav"), "--out-dir", out, "--retry-failed"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_TRUE(fs::exists(folder / "out/bad.txt"));
  EXPECT_FALSE(fs::exists(folder / "out/other.txt"));  // never tried, so it did not fail
}

}  // namespace
}  // namespace mtmd::test
