#include "bench/machine.h"

#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "bench/commit.inc"
#include "bench/measure.h"
#include "bench/statistics.h"
#include "engine/base/isa.h"
#include "engine/base/thread_pool.h"

namespace mtmd::bench {
namespace fs = std::filesystem;
namespace {

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::uint64_t number_in(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  file >> value;
  return file ? value : 0;
}

/// The value behind `key` in a file of "key: value" lines.
std::string field(const fs::path& path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (line.starts_with(key) && colon != line.npos) return line.substr(line.find_first_not_of(" \t", colon + 1));
  }
  return {};
}

std::uint64_t kilobytes(const fs::path& path, std::string_view key) {
  return std::strtoull(field(path, key).c_str(), nullptr, 10) * 1024;
}

}  // namespace

double measured_ghz() noexcept {
  constexpr int kAdditions = 256000;
  std::uint64_t x = 1;
  double best = 0;
  for (int attempt = 0; attempt < 3; ++attempt) {  // an interrupt would look like a slow core
    const double start = now();
    for (int i = 0; i < kAdditions / 8; ++i) {
#if defined(__x86_64__)
      asm volatile(
          "add %0, %0\n add %0, %0\n add %0, %0\n add %0, %0\n add %0, %0\n add %0, %0\n add %0, %0\n add %0, %0"
          : "+r"(x));
#else
      for (int j = 0; j < 8; ++j) {
        x += x;
        asm volatile("" : "+r"(x));
      }
#endif
    }
    best = std::max(best, kAdditions / (now() - start) / 1e9);
  }
  return best;
}

Machine machine_facts() {
  Machine m;
  m.cpu = field("/proc/cpuinfo", "model name");
  if (m.cpu.empty()) m.cpu = "unknown processor";
  m.isa = name(select_isa());
  utsname system{};
  if (::uname(&system) == 0) m.kernel = fmt::format("{} {}", system.sysname, system.release);
  m.commit = kCommit;
  m.cores = physical_cores();
  m.memory_bytes = kilobytes("/proc/meminfo", "MemTotal");
  m.ghz = measured_ghz();
  return m;
}

Energy::Energy(const fs::path& root) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const std::string name = entry.path().filename();
    // intel-rapl:0 is a package, intel-rapl:0:1 a part of it; AMD's counters have the same names.
    if (!name.starts_with("intel-rapl:") || name.find(':', 11) != name.npos) continue;
    if (!first_line(entry.path() / "name").starts_with("package")) continue;
    const fs::path counter = entry.path() / "energy_uj";
    if (::access(counter.c_str(), R_OK) != 0) continue;
    packages_.push_back({counter, number_in(entry.path() / "max_energy_range_uj"), number_in(counter)});
  }
}

std::optional<double> Energy::joules() {
  if (packages_.empty()) return std::nullopt;
  std::uint64_t sum = 0;
  for (Package& p : packages_) {
    const std::uint64_t value = number_in(p.counter);
    sum += value >= p.last ? value - p.last : value + p.range - p.last;
    p.last = value;
  }
  return static_cast<double>(sum) / 1e6;
}

std::uint64_t peak_memory_bytes() { return kilobytes("/proc/self/status", "VmHWM"); }
void forget_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

std::vector<std::string> Conditions::complaints() const {
  std::vector<std::string> list;
  if (ghz.size() > 1) {
    const auto [low, high] = std::ranges::minmax(ghz);
    if (low < 0.93 * high) list.push_back(fmt::format("the clock moved between {:.2f} and {:.2f} GHz", low, high));
  }
  if (stolen > 0.02) list.push_back(fmt::format("{:.0f} % of the time went to other virtual machines", 100 * stolen));
  if (others > 0.05) list.push_back(fmt::format("other processes took {:.0f} % of the machine", 100 * others));
  return list;
}

Watch::Watch() : start_(times()) {}

Watch::Times Watch::times() {
  // cpu user nice system idle iowait irq softirq steal …, in ticks
  std::istringstream line(first_line("/proc/stat"));
  std::string word;
  line >> word;
  const double tick = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  Times t;
  double ticks = 0;
  for (int i = 0; i < 8 && line >> ticks; ++i) {
    t.total += ticks * tick;
    if (i == 3 || i == 4) t.idle += ticks * tick;
    if (i == 7) t.stolen = ticks * tick;
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  for (const timeval& v : {usage.ru_utime, usage.ru_stime})
    t.own += static_cast<double>(v.tv_sec) + 1e-6 * static_cast<double>(v.tv_usec);
  return t;
}

Conditions Watch::finish() {
  const Times end = times();
  Conditions c;
  c.ghz = std::move(ghz_);
  const double total = end.total - start_.total;
  if (total > 0.1) {  // ticks are too coarse for less
    c.stolen = (end.stolen - start_.stolen) / total;
    const double busy = total - (end.idle - start_.idle) - (end.stolen - start_.stolen);
    c.others = std::clamp((busy - (end.own - start_.own)) / total, 0.0, 1.0);
  }
  c.joules = energy_.joules();
  c.peak_bytes = peak_memory_bytes();
  return c;
}

}  // namespace mtmd::bench
