#include "bench/interleave.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/error.h"

extern char** environ;

namespace mtmd::bench {
namespace {

/// A running `mtmd bench --on-request`.
class Worker {
 public:
  explicit Worker(const Side& side) : name_(side.program + " " + side.setting) {
    int to[2], from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0)
      fail(ErrorCategory::device, "bench --interleave: no pipe: {}", std::strerror(errno));
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
    std::vector<char*> argv = {const_cast<char*>(side.program.c_str())}, env;
    for (const std::string& a : side.arguments) argv.push_back(const_cast<char*>(a.c_str()));
    for (const std::string& e : side.environment) env.push_back(const_cast<char*>(e.c_str()));
    for (char** e = environ; *e; ++e) env.push_back(*e);  // the first of a name counts
    argv.push_back(nullptr);
    env.push_back(nullptr);
    const int error = ::posix_spawnp(&pid_, side.program.c_str(), &actions, nullptr, argv.data(), env.data());
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(to[0]);
    ::close(from[1]);
    in_.reset(::fdopen(to[1], "w"));
    out_.reset(::fdopen(from[0], "r"));
    if (error != 0) fail(ErrorCategory::usage, "bench --interleave: {}: {}", side.program, std::strerror(error));
    const nlohmann::json hello = read();
    tests_ = hello.at("tests").get<std::vector<std::string>>();
  }
  ~Worker() {
    in_.reset();
    out_.reset();
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  const std::vector<std::string>& tests() const noexcept { return tests_; }
  double sample(std::size_t test) {
    std::fprintf(in_.get(), "%zu\n", test);
    std::fflush(in_.get());
    return read().at("seconds").get<double>();
  }

 private:
  nlohmann::json read() {
    std::string line;
    for (int c; (c = std::getc(out_.get())) != EOF && c != '\n';) line += static_cast<char>(c);
    const nlohmann::json j = nlohmann::json::parse(line, nullptr, false);
    if (!j.is_object()) fail(ErrorCategory::device, "bench --interleave: {} ended early; it says why above", name_);
    return j;
  }

  std::string name_;
  pid_t pid_ = -1;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> in_{nullptr, std::fclose}, out_{nullptr, std::fclose};
  std::vector<std::string> tests_;
};

}  // namespace

Side make_side(const std::string& program, const std::vector<std::string>& arguments, const std::string& setting) {
  Side side{setting, program, arguments, {}};
  std::istringstream pieces(setting);
  for (std::string piece; pieces >> piece;) {
    const std::size_t equals = piece.find('=');
    if (equals == piece.npos || equals == 0)
      fail(ErrorCategory::usage, "bench --interleave '{}': expected KEY=VALUE, e.g. threads=1 or MTMD_ISA=avx2", setting);
    const std::string key = piece.substr(0, equals), value = piece.substr(equals + 1);
    if (key == "program") {
      side.program = value;
    } else if (std::isupper(static_cast<unsigned char>(key[0]))) {
      side.environment.push_back(piece);
    } else {
      // What both sides share gives way.
      const auto shared = std::ranges::find(side.arguments, "--" + key);
      if (shared != side.arguments.end()) {
        *(shared + 1) = value;
      } else {
        side.arguments.push_back("--" + key);
        side.arguments.push_back(value);
      }
    }
  }
  return side;
}

Turns take_turns(const Side& first, const Side& second, const Plan& plan) {
  Worker workers[2] = {Worker(first), Worker(second)};
  if (workers[0].tests() != workers[1].tests())
    fail(ErrorCategory::usage, "bench --interleave: the two settings measure different tests");
  Turns turns;
  turns.tests = workers[0].tests();
  for (auto& side : turns.seconds) side.resize(turns.tests.size());
  for (std::size_t test = 0; test < turns.tests.size(); ++test)
    for (int i = plan.most_warmups > 0 ? -1 : 0; i < plan.repetitions; ++i)
      for (const int turn : {0, 1}) {
        const int side = i % 2 == 0 ? turn : 1 - turn;
        const double seconds = workers[side].sample(test);
        if (i >= 0) turns.seconds[side][test].push_back(seconds);
      }
  return turns;
}

}  // namespace mtmd::bench
