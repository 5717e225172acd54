#include "mtmd-cli/console.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "engine/base/error.h"

namespace mtmd::cli {
namespace {

/// Files and models may hold escape sequences; a terminal must not obey them.
std::string harmless(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) c = '?';
  }
  return result;
}

}  // namespace

Console::Console()
    : stdin_tty_(::isatty(STDIN_FILENO)),
      stdout_tty_(::isatty(STDOUT_FILENO)),
      stderr_tty_(::isatty(STDERR_FILENO)),
      colours_(stderr_tty_ && !std::getenv("NO_COLOR")),
      log_(nullptr, std::fclose) {}

void Console::open_log(const std::string& path) {
  log_.reset(std::fopen(path.c_str(), "we"));
  if (!log_) fail(ErrorCategory::output, "--log-file {}: cannot open: {}", path, std::strerror(errno));
}

void Console::result(std::string_view text) {
  if (status_shown_ && stdout_tty_) status_line("");
  std::string shown;
  if (stdout_tty_) text = shown = harmless(text);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
    fail(ErrorCategory::output, "stdout: cannot write the result: {}", std::strerror(errno));
}

void Console::flush_result() {
  if (std::fflush(stdout) != 0)
    fail(ErrorCategory::output, "stdout: cannot write the result: {}", std::strerror(errno));
}

void Console::say(int level, std::string_view kind, const std::string& message) {
  if (level > verbosity) return;
  const std::string text = harmless(message);
  if (log_) {
    fmt::print(log_.get(), "{}{}\n", kind, text);
    std::fflush(log_.get());
  }
  // An error is said even when quiet is asked for: without it the exit status would be all there is.
  if (quiet && kind != "error: ") return;
  if (status_shown_) status_line("");
  if (kind.empty()) {
    fmt::print(stderr, "{}\n", text);
  } else {
    const char* colour = !colours_ ? "" : kind == "error: " ? "\033[1;31m" : "\033[1;33m";
    fmt::print(stderr, "mtmd: {}{}{}{}\n", colour, kind, colours_ ? "\033[0m" : "", text);
  }
}

void Console::status_line(std::string_view text) {
  if (quiet || !stderr_tty_) return;
  fmt::print(stderr, "\r\033[K{}", harmless(text));
  std::fflush(stderr);
  status_shown_ = !text.empty();
}

}  // namespace mtmd::cli
