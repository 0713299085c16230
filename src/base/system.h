// What this process may use of the machine it runs on.
//
// Place in the flow: base; read by the engine (thread counts) and by `csm doctor`. No state; thread-safe. Nothing here
// fails: what the system does not tell is reported as 0 bytes, one core or an empty string.
#pragma once

#include <cstdint>
#include <string>

namespace csm {

// Hardware threads this process may run on: the scheduler affinity and the CPU quota of its cgroups (containers) are
// honoured. At least 1.
int n_logical_cores();

// The same in cores, not counting hyper-threads. At least 1.
int n_physical_cores();

// Memory of the machine, or the limit of this process's cgroup where that is lower.
uint64_t total_memory_bytes();

// Peak resident memory of this process (also public, in csm/inspect.h).
uint64_t peak_memory_bytes();

// For people to read, as "Debian GNU/Linux 12 (bookworm), Linux 6.1.0 x86_64".
std::string operating_system();

}  // namespace csm
