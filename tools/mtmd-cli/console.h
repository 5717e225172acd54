// Everything a verb says: results to stdout, the rest to stderr (CONVENTIONS.md).
#pragma once

#include <fmt/core.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace mtmd::cli {

enum class ProgressMode { automatic, plain, json, none };

class Console {
 public:
  Console();

  // Set by the global flags before a verb runs.
  bool quiet = false;
  int verbosity = 0;
  ProgressMode progress = ProgressMode::automatic;
  void open_log(const std::string& path);  ///< --log-file: everything said on stderr, also when quiet

  int status = 0;  ///< exit status of the verb that ran

  bool stderr_is_terminal() const noexcept { return stderr_tty_; }
  bool stdout_is_terminal() const noexcept { return stdout_tty_; }
  bool stdin_is_terminal() const noexcept { return stdin_tty_; }
  bool colours() const noexcept { return colours_; }

  /// The result. Throws Error(output) when stdout cannot take it.
  void result(std::string_view text);
  void flush_result();

  template <class... A>
  void info(fmt::format_string<A...> f, A&&... a) {
    say(0, "", fmt::format(f, std::forward<A>(a)...));
  }
  template <class... A>
  void detail(fmt::format_string<A...> f, A&&... a) {
    say(1, "", fmt::format(f, std::forward<A>(a)...));
  }
  template <class... A>
  void warn(fmt::format_string<A...> f, A&&... a) {
    say(0, "warning: ", fmt::format(f, std::forward<A>(a)...));
  }
  template <class... A>
  void error(fmt::format_string<A...> f, A&&... a) {
    say(0, "error: ", fmt::format(f, std::forward<A>(a)...));
  }

  /// The one line at the bottom of a terminal that is rewritten in place; empty clears it.
  void status_line(std::string_view text);

 private:
  void say(int level, std::string_view kind, const std::string& message);
  bool stdin_tty_, stdout_tty_, stderr_tty_, colours_;
  bool status_shown_ = false;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> log_;
};

}  // namespace mtmd::cli
