// Against expectations written by hand, and read back by small parsers of their own.
#include "mtmd/hear/subtitles.h"

#include <gtest/gtest.h>

#include <regex>
#include <sstream>
#include <vector>

namespace mtmd {
namespace {

const std::vector<Segment> kThree = {
    {0, 1.5, "One"}, {3599.9996, 3661.25, "Two & <b>\n\n--> 3"}, {360000, 360000.0004, "a\t\"q\""}};

TEST(Subtitles, AsWrittenByHand) {
  EXPECT_EQ(subtitles(kThree, SubtitleFormat::txt), "One\nTwo & <b> --> 3\na \"q\"\n");
  EXPECT_EQ(subtitles(kThree, SubtitleFormat::srt),
            "1\n00:00:00,000 --> 00:00:01,500\nOne\n\n"
            "2\n01:00:00,000 --> 01:01:01,250\nTwo & <b> --> 3\n\n"
            "3\n100:00:00,000 --> 100:00:00,001\na \"q\"\n");
  EXPECT_EQ(subtitles(kThree, SubtitleFormat::vtt),
            "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nOne\n\n"
            "01:00:00.000 --> 01:01:01.250\nTwo &amp; &lt;b&gt; --&gt; 3\n\n"
            "100:00:00.000 --> 100:00:00.001\na \"q\"\n");
  EXPECT_EQ(subtitles(kThree, SubtitleFormat::tsv),
            "start\tend\ttext\n0\t1500\tOne\n3600000\t3661250\tTwo & <b> --> 3\n360000000\t360000001\ta \"q\"\n");
  EXPECT_EQ(
      subtitles(kThree, SubtitleFormat::csv),
      "start,end,text\n0,1500,\"One\"\n3600000,3661250,\"Two & <b> --> 3\"\n360000000,360000001,\"a \"\"q\"\"\"\n");
}

TEST(Subtitles, NothingWasSaid) {
  for (const auto& segments : {std::vector<Segment>{}, std::vector<Segment>{{0, 1, ""}, {1, 2, " \n\t "}}}) {
    EXPECT_EQ(subtitles(segments, SubtitleFormat::txt), "");
    EXPECT_EQ(subtitles(segments, SubtitleFormat::srt), "");
    EXPECT_EQ(subtitles(segments, SubtitleFormat::vtt), "WEBVTT\n");
    EXPECT_EQ(subtitles(segments, SubtitleFormat::tsv), "start\tend\ttext\n");
    EXPECT_EQ(subtitles(segments, SubtitleFormat::csv), "start,end,text\n");
  }
}

TEST(Subtitles, NumbersSkipWhatHasNoText) {
  const std::string srt =
      subtitles(std::vector<Segment>{{0, 1, ""}, {1, 2, "a"}, {2, 3, ""}, {3, 4, "b"}}, SubtitleFormat::srt);
  EXPECT_EQ(srt, "1\n00:00:01,000 --> 00:00:02,000\na\n\n2\n00:00:03,000 --> 00:00:04,000\nb\n");
}

/// What a player reads: blocks between blank lines, a time line, text.
std::vector<Segment> parsed(const std::string& file) {
  static const std::regex time(
      R"((\d{2,}):([0-5]\d):([0-5]\d)[.,](\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)[.,](\d{3}))");
  std::vector<Segment> cues;
  std::istringstream lines(file);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    std::smatch m;
    if (!inside && std::regex_match(line, m, time)) {
      const auto at = [&](std::size_t i) {
        return std::stod(m[i]) * 3600 + std::stod(m[i + 1]) * 60 + std::stod(m[i + 2]) + std::stod(m[i + 3]) / 1000;
      };
      cues.push_back({at(1), at(5), ""});
      inside = true;
    } else if (line.empty()) {
      inside = false;
    } else if (inside) {
      cues.back().text += line;
    }
  }
  return cues;
}

TEST(Subtitles, PlayersReadBackWhatWasWritten) {
  std::vector<Segment> segments;
  for (int i = 0; i < 500; ++i) {
    const double begin = i * 97.3217 + i % 7 * 0.0005;
    segments.push_back({begin, begin + 0.001 * (i % 40) * (i % 40), "words of " + std::to_string(i)});
  }
  for (const auto format : {SubtitleFormat::srt, SubtitleFormat::vtt}) {
    const auto cues = parsed(subtitles(segments, format));
    ASSERT_EQ(cues.size(), segments.size());
    for (std::size_t i = 0; i < cues.size(); ++i) {
      EXPECT_NEAR(cues[i].begin, segments[i].begin, 0.00051);
      EXPECT_NEAR(cues[i].end, std::max(segments[i].end, segments[i].begin + 0.001), 0.00101);
      EXPECT_GT(cues[i].end, cues[i].begin);
      EXPECT_EQ(cues[i].text, segments[i].text);
    }
  }
}

TEST(Subtitles, ClockTimes) {
  EXPECT_EQ(clock_time(0), "00:00:00.000");
  EXPECT_EQ(clock_time(3723.5), "01:02:03.500");
  EXPECT_EQ(clock_time(59.9996, ','), "00:01:00,000");
  EXPECT_EQ(clock_time(-3), "00:00:00.000");
  EXPECT_EQ(clock_time(1234567.891), "342:56:07.891");
}

}  // namespace
}  // namespace mtmd
