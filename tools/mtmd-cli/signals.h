// Ctrl-C and SIGTERM: the first asks for an orderly end (the current write is finished, the journal kept), the second
// ends at once.
#pragma once

#include <atomic>

namespace mtmd::cli {

void install_signal_handlers();
/// Becomes true with the first signal.
const std::atomic<bool>& cancel_flag() noexcept;
/// 130 after SIGINT, 143 after SIGTERM, 0 otherwise.
int interrupted_status() noexcept;
/// `chat` answers Ctrl-C by ending the answer, not the program.
void forget_interrupt() noexcept;

}  // namespace mtmd::cli
