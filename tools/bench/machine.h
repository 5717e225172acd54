// The machine that is measured, and what it was doing meanwhile.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mtmd::bench {

struct Machine {
  std::string cpu, isa, kernel, commit;  ///< commit: of the sources, "unknown" outside a checkout
  int cores = 0;                         ///< physical ones that this process may use
  std::uint64_t memory_bytes = 0;
  double ghz = 0;  ///< of one busy core, measured
};
Machine machine_facts();

/// What one core really runs at: a chain of additions, one per cycle. Takes about a tenth of a millisecond.
double measured_ghz() noexcept;

/// Joules of all packages since some time; nothing where the kernel shows no RAPL counters, or not to us.
class Energy {
 public:
  explicit Energy(const std::filesystem::path& root = "/sys/class/powercap");
  std::optional<double> joules();  ///< since the last call, or since construction

 private:
  struct Package {
    std::filesystem::path counter;
    std::uint64_t range = 0, last = 0;  ///< microjoules; the counter starts again at `range`
  };
  std::vector<Package> packages_;
};

/// Highest resident memory of this process; since forget_peak_memory() where the kernel allows that.
std::uint64_t peak_memory_bytes();
void forget_peak_memory();

struct Conditions {
  std::vector<double> ghz;        ///< one per probe
  double stolen = 0, others = 0;  ///< shares of the machine's time: the hypervisor's, other processes'
  std::optional<double> joules;
  std::uint64_t peak_bytes = 0;

  /// What makes the samples doubtful, in words; empty: nothing.
  std::vector<std::string> complaints() const;
};

/// From construction to finish().
class Watch {
 public:
  Watch();
  void probe() { ghz_.push_back(measured_ghz()); }
  Conditions finish();

 private:
  struct Times {
    double total = 0, idle = 0, stolen = 0, own = 0;  ///< seconds, over all processors
  };
  static Times times();
  Times start_;
  std::vector<double> ghz_;
  Energy energy_;
};

}  // namespace mtmd::bench
