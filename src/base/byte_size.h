// Sizes of memory and files as people write them: "512M", "16G", "1048576".
//
// Place in the flow: options and environment -> (here) -> numbers of bytes. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace csm {

// A whole number with K, M, G or T (powers of 1024; upper or lower case, "B" or "iB" may follow), or of bytes without.
// Errors: kInvalidArgument, which `what` opens.
uint64_t parse_byte_size(const std::string& text, const std::string& what);

}  // namespace csm
