// Zip archives as PyTorch writes them: entries that are stored, not compressed, so that their data is used where it lies.
//
// Layout: for each entry a local header, its name, an extra field (padding, here) and its data; then the central directory, which lists
// the entries again with sizes and offsets; then the end records (64-bit ones first, when they are needed), which say where the directory
// is. All little-endian.
//
// Place in the flow: weight files -> (here) -> PyTorch reader. Nothing is ever unpacked to the disk. Values; entries are views of the
// bytes. Stateless; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace csm {

struct ZipEntry {
  std::string_view name;
  std::span<const std::byte> data;
  uint32_t crc = 0;  // as the directory says; 0 also when the writer computed none
};

// Whether the bytes begin as a zip archive does.
bool has_zip_magic(std::span<const std::byte> bytes);

// All entries, in the order of the directory. `where` opens the messages. Errors: kInvalidData for anything that is not exactly one
// archive from the first byte to the last (truncated, counts, sizes or offsets beyond the file, entries that overlap, local headers that
// disagree with the directory, the same name twice, names that leave a folder); kUnsupported for compressed, encrypted or split archives.
std::vector<ZipEntry> read_zip(std::span<const std::byte> bytes, const std::string& where);

// The check value of zip archives.
uint32_t zip_crc32(std::span<const std::byte> bytes);

}  // namespace csm
