// Sizes as people type them.
//
// Place in the flow: command line and configuration -> bytes. Stateless.
#pragma once

#include <cstdint>
#include <string>

namespace csm::app {

// "2G", "800M", "1.5GiB", "4096"; K, M, G are powers of 1000, Ki, Mi, Gi of 1024. Errors: csm::Error kInvalidArgument.
uint64_t parse_bytes(const std::string& text);

}  // namespace csm::app
