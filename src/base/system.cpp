#include "base/system.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

namespace csm {
namespace {

#ifdef __linux__

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// CPUs of the affinity mask; empty when the system does not tell.
std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  // The call fails with EINVAL while the mask is smaller than the kernel's own.
  for (int n_cpus = 1024; n_cpus <= 1 << 18; n_cpus *= 2) {
    cpu_set_t* mask = CPU_ALLOC(n_cpus);
    if (mask == nullptr) break;
    const size_t n_bytes = CPU_ALLOC_SIZE(n_cpus);
    const bool known = ::sched_getaffinity(0, n_bytes, mask) == 0;
    for (int cpu = 0; known && cpu < n_cpus; ++cpu) {
      if (CPU_ISSET_S(cpu, n_bytes, mask)) cpus.push_back(cpu);
    }
    CPU_FREE(mask);
    if (known) break;
  }
  return cpus;
}

// Directory of this process in a cgroup hierarchy: controller "" is version 2, another name version 1.
std::string cgroup_path(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  std::string line;  // "id:controllers:/path"
  while (std::getline(file, line)) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool match = controller.empty() ? controllers.empty()
                                          : ("," + controllers + ",").find("," + controller + ",") != std::string::npos;
    if (match) return line.substr(second + 1);
  }
  return "/";
}

// Calls visit for the directory of this process and each one above it, since limits hold for all that is below. Inside
// a container the path may be that of the host; the root of the mount is then the one that exists.
void for_each_cgroup(const std::string& mount, std::string path, const std::function<void(const std::string&)>& visit) {
  while (path.size() > 1) {
    visit(mount + path);
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
  visit(mount);
}

// CPUs' worth of time that the cgroups allow; a huge number without a limit.
double cpu_quota() {
  double quota = 1e9;
  const auto limit = [&](const std::string& allowed, double period) {
    const double value = std::atof(allowed.c_str());  // "max" reads as 0
    if (value > 0 && period > 0) quota = std::min(quota, value / period);
  };
  for_each_cgroup("/sys/fs/cgroup", cgroup_path(""), [&](const std::string& directory) {
    std::istringstream line(first_line(directory + "/cpu.max"));
    std::string allowed;
    double period = 0;
    if (line >> allowed >> period) limit(allowed, period);
  });
  for_each_cgroup("/sys/fs/cgroup/cpu", cgroup_path("cpu"), [&](const std::string& directory) {
    const double period = std::atof(first_line(directory + "/cpu.cfs_period_us").c_str());
    limit(first_line(directory + "/cpu.cfs_quota_us"), period);
  });
  return quota;
}

uint64_t memory_limit() {
  uint64_t limit = UINT64_MAX;
  const auto consider = [&](const std::string& file) {
    const uint64_t value = std::strtoull(first_line(file).c_str(), nullptr, 10);  // "max" reads as 0
    if (value > 0) limit = std::min(limit, value);
  };
  for_each_cgroup("/sys/fs/cgroup", cgroup_path(""), [&](const std::string& d) { consider(d + "/memory.max"); });
  for_each_cgroup("/sys/fs/cgroup/memory", cgroup_path("memory"),
                  [&](const std::string& d) { consider(d + "/memory.limit_in_bytes"); });
  return limit;
}

int logical_cores() { return static_cast<int>(allowed_cpus().size()); }

int physical_cores() {
  std::set<std::string> cores;
  for (const int cpu : allowed_cpus()) {
    const std::string siblings =
        first_line(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
    cores.insert(siblings.empty() ? std::to_string(cpu) : siblings);
  }
  return static_cast<int>(cores.size());
}

std::string distribution() {
  std::ifstream file("/etc/os-release");
  std::string line;
  const std::string key = "PRETTY_NAME=";
  while (std::getline(file, line)) {
    if (line.rfind(key, 0) != 0) continue;
    std::string name = line.substr(key.size());
    name.erase(std::remove(name.begin(), name.end(), '"'), name.end());
    return name;
  }
  return "";
}

#elif defined(__APPLE__)

template <typename T>
T sysctl_number(const char* name) {
  T value = 0;
  size_t n_bytes = sizeof value;
  return ::sysctlbyname(name, &value, &n_bytes, nullptr, 0) == 0 ? value : T{0};
}

double cpu_quota() { return 1e9; }
uint64_t memory_limit() { return sysctl_number<uint64_t>("hw.memsize"); }
int logical_cores() { return sysctl_number<int>("hw.logicalcpu"); }
int physical_cores() { return sysctl_number<int>("hw.physicalcpu"); }

std::string distribution() {
  char version[64] = {};
  size_t n_bytes = sizeof version - 1;
  if (::sysctlbyname("kern.osproductversion", version, &n_bytes, nullptr, 0) != 0) return "macOS";
  return std::string("macOS ") + version;
}

#else

double cpu_quota() { return 1e9; }
uint64_t memory_limit() { return UINT64_MAX; }
int logical_cores() { return 0; }
int physical_cores() { return 0; }
std::string distribution() { return ""; }

#endif

int within_quota(int n_cores) {
  if (n_cores < 1) n_cores = static_cast<int>(std::thread::hardware_concurrency());
  // Half a CPU is still a thread's work; one and a half keeps two threads busy.
  const double quota = std::ceil(cpu_quota());
  return std::max(1, n_cores > quota ? static_cast<int>(quota) : n_cores);
}

}  // namespace

int n_logical_cores() { return within_quota(logical_cores()); }

int n_physical_cores() { return within_quota(physical_cores()); }

uint64_t total_memory_bytes() {
  const long n_pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  const uint64_t limit = memory_limit();
  if (n_pages <= 0 || page_bytes <= 0) return limit == UINT64_MAX ? 0 : limit;
  return std::min(limit, static_cast<uint64_t>(n_pages) * static_cast<uint64_t>(page_bytes));
}

uint64_t peak_memory_bytes() {
  struct rusage usage {};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
  constexpr uint64_t kUnitBytes = 1;
#else
  constexpr uint64_t kUnitBytes = 1024;
#endif
  return static_cast<uint64_t>(usage.ru_maxrss) * kUnitBytes;
}

std::string operating_system() {
  struct utsname names {};
  if (::uname(&names) != 0) return distribution();
  const std::string kernel = fmt::format("{} {} {}", names.sysname, names.release, names.machine);
  const std::string name = distribution();
  return name.empty() ? kernel : name + ", " + kernel;
}

}  // namespace csm
