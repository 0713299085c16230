// Whether a file is what its announced hash says.
//
// Place in the flow: a finished download -> (here) -> blob. Stateless; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace csm {

struct FileDigests {
  std::string sha256;
  std::string git_sha1;  // of the file as a git blob: "blob SIZE\0" before the bytes
  std::string sha1;      // of the bytes alone, as plain file servers give it
};

enum class DigestKind { kSha256, kSha1 };

// Reads the file once and computes the digests of the kind; the others stay empty. on_bytes (may be empty) is called
// with each piece's size and may throw to stop. Errors: kIo.
FileDigests digest_file(const std::string& path, DigestKind kind, const std::function<void(uint64_t)>& on_bytes);

// Of a text, in hexadecimal digits.
std::string sha256_of(const std::string& text);

}  // namespace csm
