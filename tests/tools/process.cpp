#include "tools/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace mtmd::test {
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

/// No command of a test takes nearly as long, under sanitizers either; less than ctest's own limit, which tells
/// nothing.
constexpr std::chrono::seconds kLongest{400};

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    read = ends[0], write = ends[1];
  }
};

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

[[noreturn]] void child(const std::vector<std::string>& arguments, int in, int out, int err) {
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  std::vector<char*> argv = {const_cast<char*>("mtmd")};
  for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  ::execv(MTMD_BINARY, argv.data());
  ::_exit(127);
}

/// What every thread of a process is at: its state, the kernel function and system call that it waits in, and, where
/// there is a debugger, its stack.
std::string threads_of(pid_t pid) {
  std::string text;
  std::error_code ignored;
  for (const auto& task : fs::directory_iterator(fmt::format("/proc/{}/task", pid), ignored))
    for (const char* what : {"stat", "wchan", "syscall"})
      text += fmt::format("{} {}: {}\n", task.path().filename().string(), what, read_file(task.path() / what));
  const std::string command =
      fmt::format("timeout 60 gdb -p {} -batch -ex 'thread apply all backtrace' 2>&1 < /dev/null", pid);
  if (FILE* gdb = ::popen(command.c_str(), "r")) {
    char buffer[4096];
    while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, gdb)) text.append(buffer, n);
    ::pclose(gdb);
  }
  return text;
}

/// Feeds stdin and collects both outputs without ever blocking on one of them. False when that took until `end`.
bool exchange(std::string_view input, int& to_child, int& out, std::string& out_text, int& err, std::string& err_text,
              Clock::time_point end) {
  while (out >= 0 || err >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return false;
    std::array<pollfd, 3> fds = {pollfd{out, POLLIN, 0}, pollfd{err, POLLIN, 0}, pollfd{to_child, POLLOUT, 0}};
    if (::poll(fds.data(), fds.size(), static_cast<int>(left.count())) < 0) continue;
    char buffer[4096];
    const auto drain = [&](int& fd, std::string& text) {
      const ssize_t n = ::read(fd, buffer, sizeof buffer);
      if (n > 0)
        text.append(buffer, static_cast<std::size_t>(n));
      else
        close_fd(fd);
    };
    if (fds[0].revents) drain(out, out_text);
    if (fds[1].revents) drain(err, err_text);
    if (to_child >= 0 && fds[2].revents) {
      const ssize_t n = input.empty() ? 0 : ::write(to_child, input.data(), input.size());
      if (n <= 0)
        close_fd(to_child);
      else
        input.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  return true;
}

}  // namespace

Outcome run(const std::vector<std::string>& arguments, const RunOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  Pipe in, out, err;
  const int file = options.out_path.empty() ? -1 : ::open(options.out_path.c_str(), O_WRONLY | O_CLOEXEC);
  const auto size_of = [&] {
    std::error_code error;
    const auto size = fs::file_size(options.wait_for, error);
    return error ? 0 : size;
  };
  const auto size = size_of();
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (options.close_out) ::close(out.read);
    child(arguments, in.read, file >= 0 ? file : out.write, err.write);
  }
  close_fd(in.read);
  close_fd(out.write);
  close_fd(err.write);
  if (file >= 0) ::close(file);
  if (options.close_out) close_fd(out.read);

  std::thread killer;
  std::atomic<bool> over = false;  // nobody is left to be killed
  if (options.signal != 0)
    killer = std::thread([&] {
      const auto waits = [&] { return !over && !options.wait_for.empty() && size_of() <= size; };
      for (int i = 0; i < 6000 && waits(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      std::this_thread::sleep_for(std::chrono::milliseconds(options.kill_after_ms));
      if (!over) ::kill(pid, options.signal);
    });
  Outcome result;
  const auto end = Clock::now() + kLongest;
  int status = 0;
  bool ended = exchange(options.input, in.write, out.read, result.out, err.read, result.err, end);
  over = ended;
  close_fd(in.write);
  while (ended && ::waitpid(pid, &status, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ended = Clock::now() < end;
  }
  if (!ended) {
    ADD_FAILURE() << fmt::format("mtmd {} does not end; its threads:\n{}", fmt::join(arguments, " "), threads_of(pid));
    ::kill(pid, SIGKILL);
    ::waitpid(pid, &status, 0);
  }
  if (killer.joinable()) killer.join();
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "mtmd-test-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace mtmd::test
