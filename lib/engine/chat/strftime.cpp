#include <chrono>

#include "engine/chat/builtins.h"

namespace mtmd::chat {
namespace {

constexpr std::string_view days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr std::string_view months[] = {"January", "February", "March",     "April",   "May",      "June",
                                       "July",    "August",   "September", "October", "November", "December"};

struct Clock {
  int year;
  int month, day, weekday, day_of_year;  // 1..12, 1..31, 0 = Sunday, 1..366
  int hour, minute, second;
};

Clock clock_at(std::int64_t unix_time) {
  using namespace std::chrono;
  const sys_seconds t{seconds(unix_time)};
  const sys_days date = floor<std::chrono::days>(t);
  const year_month_day ymd(date);
  const hh_mm_ss<seconds> time(t - date);
  return {.year = static_cast<int>(ymd.year()),
          .month = static_cast<int>(static_cast<unsigned>(ymd.month())),
          .day = static_cast<int>(static_cast<unsigned>(ymd.day())),
          .weekday = static_cast<int>(weekday(date).c_encoding()),
          .day_of_year = static_cast<int>((date - sys_days(ymd.year() / January / 1)).count()) + 1,
          .hour = static_cast<int>(time.hours().count()),
          .minute = static_cast<int>(time.minutes().count()),
          .second = static_cast<int>(time.seconds().count())};
}

/// A number of `width` digits; `%-d` writes it without the zeros.
std::string number(int v, int width, bool plain) {
  return plain ? fmt::format("{}", v) : fmt::format("{:0{}}", v, width);
}

std::optional<std::string> directive(char c, bool plain, const Clock& t, std::int64_t unix_time) {
  const int hour12 = t.hour % 12 ? t.hour % 12 : 12;
  switch (c) {
    case 'Y':
      return number(t.year, 4, plain);
    case 'y':
      return number(((t.year % 100) + 100) % 100, 2, plain);
    case 'm':
      return number(t.month, 2, plain);
    case 'd':
      return number(t.day, 2, plain);
    case 'e':
      return plain ? fmt::format("{}", t.day) : fmt::format("{:2}", t.day);
    case 'H':
      return number(t.hour, 2, plain);
    case 'I':
      return number(hour12, 2, plain);
    case 'M':
      return number(t.minute, 2, plain);
    case 'S':
      return number(t.second, 2, plain);
    case 'j':
      return number(t.day_of_year, 3, plain);
    case 'f':
      return "000000";
    case 'p':
      return t.hour < 12 ? "AM" : "PM";
    case 'a':
      return std::string(days[t.weekday].substr(0, 3));
    case 'A':
      return std::string(days[t.weekday]);
    case 'b':
    case 'h':
      return std::string(months[t.month - 1].substr(0, 3));
    case 'B':
      return std::string(months[t.month - 1]);
    case 'w':
      return fmt::format("{}", t.weekday);
    case 'u':
      return fmt::format("{}", t.weekday ? t.weekday : 7);
    case 'U':
      return number((t.day_of_year + 6 - t.weekday) / 7, 2, plain);
    case 'W':
      return number((t.day_of_year + 6 - (t.weekday + 6) % 7) / 7, 2, plain);
    case 'Z':
      return "UTC";
    case 'z':
      return "+0000";
    case 's':
      return fmt::format("{}", unix_time);
    case 'n':
      return "\n";
    case 't':
      return "\t";
    case '%':
      return "%";
    case 'F':
      return fmt::format("{:04}-{:02}-{:02}", t.year, t.month, t.day);
    case 'D':
    case 'x':
      return fmt::format("{:02}/{:02}/{:02}", t.month, t.day, ((t.year % 100) + 100) % 100);
    case 'T':
    case 'X':
      return fmt::format("{:02}:{:02}:{:02}", t.hour, t.minute, t.second);
    case 'R':
      return fmt::format("{:02}:{:02}", t.hour, t.minute);
    case 'c':
      return fmt::format("{} {} {:2} {:02}:{:02}:{:02} {}", days[t.weekday].substr(0, 3),
                         months[t.month - 1].substr(0, 3), t.day, t.hour, t.minute, t.second, t.year);
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<std::string> strftime_utc(std::string_view format, std::int64_t unix_time) {
  constexpr std::int64_t limit = 100'000'000'000;  // within the years that std::chrono can count
  if (unix_time < -limit || unix_time > limit) return std::nullopt;
  const Clock t = clock_at(unix_time);
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    const bool plain = i + 1 < format.size() && format[i + 1] == '-';
    i += plain ? 2 : 1;
    const auto text = i < format.size() ? directive(format[i], plain, t, unix_time) : std::nullopt;
    if (!text) return std::nullopt;
    out += *text;
  }
  return out;
}

}  // namespace mtmd::chat
