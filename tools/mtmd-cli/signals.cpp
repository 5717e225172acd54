#include "mtmd-cli/signals.h"

#include <unistd.h>

#include <csignal>

namespace mtmd::cli {
namespace {

std::atomic<bool> g_cancel{false};
std::atomic<int> g_signal{0};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void on_signal(int signal) {
  if (g_cancel.exchange(true)) ::_exit(128 + signal);
  g_signal.store(signal);
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);  // no SA_RESTART: a blocking read of stdin must end
  ::sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);  // a closed pipe is a write error, reported as such
}

const std::atomic<bool>& cancel_flag() noexcept { return g_cancel; }

int interrupted_status() noexcept {
  const int signal = g_signal.load();
  return signal == 0 ? 0 : 128 + signal;
}

void forget_interrupt() noexcept {
  g_cancel = false;
  g_signal = 0;
}

}  // namespace mtmd::cli
