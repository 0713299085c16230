// Keys, presets: reading and writing them. The file format: 64 hexadecimal digits; blanks and lines that begin with # are
// skipped.
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <csm/watermark.h>

#include "base/fail.h"
#include "io/file.h"

namespace csm {
namespace {

constexpr char kPublicKey[] = "csm.cpp public watermark key 001";  // 32 bytes, and no secret
constexpr size_t kMaxKeyFileBytes = 65'536;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

WatermarkKey public_watermark_key() {
  WatermarkKey key;
  static_assert(sizeof kPublicKey == sizeof key.bytes + 1);
  std::memcpy(key.bytes.data(), kPublicKey, key.bytes.size());
  key.name = "public";
  return key;
}

WatermarkKey parse_watermark_key(const std::string& text, const std::string& name) {
  WatermarkKey key;
  key.name = name;
  size_t n_digits = 0;
  bool line_begins = true, comment = false;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      line_begins = true;
      comment = false;
      continue;
    }
    comment = comment || (line_begins && c == '#');
    line_begins = line_begins && (c == ' ' || c == '\t');
    if (comment || c == ' ' || c == '\t') continue;
    const int value = hex_value(c);
    if (value < 0) {
      fail(ErrorCode::kInvalidData, "watermark key '{}': expected {} hexadecimal digits, found another character", name,
           2 * key.bytes.size());
    }
    if (n_digits < 2 * key.bytes.size()) {
      uint8_t& byte = key.bytes[n_digits / 2];
      byte = static_cast<uint8_t>(byte << 4 | value);
    }
    ++n_digits;
  }
  if (n_digits != 2 * key.bytes.size()) {
    fail(ErrorCode::kInvalidData, "watermark key '{}': expected {} hexadecimal digits, found {}; make one with: csm "
         "watermark key --new FILE", name, 2 * key.bytes.size(), n_digits);
  }
  return key;
}

WatermarkKey read_watermark_key(const std::string& path) {
  const auto file = MappedFile::open(path);
  const std::string name = std::filesystem::path(path).filename().string();
  if (file->bytes().size() > kMaxKeyFileBytes) {
    fail(ErrorCode::kInvalidData, "watermark key '{}': expected at most {} bytes, found {}", name, kMaxKeyFileBytes,
         file->bytes().size());
  }
  return parse_watermark_key(std::string(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()),
                             name);
}

void write_new_watermark_key(const std::string& path) {
  std::array<uint8_t, 32> bytes{};
  if (getentropy(bytes.data(), bytes.size()) != 0) {
    fail(ErrorCode::kIo, "cannot draw a watermark key: {}", std::strerror(errno));
  }
  std::string text = "# csm watermark key: keep it secret\n";
  for (const uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  text += '\n';
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0) fail(ErrorCode::kIo, "cannot create the watermark key '{}': {}", path, std::strerror(errno));
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int reason = errno;
  const bool closed = ::close(file) == 0;
  if (!written || !closed) {
    ::unlink(path.c_str());
    fail(ErrorCode::kIo, "cannot write the watermark key '{}': {}", path, std::strerror(reason));
  }
}

const char* to_string(WatermarkPreset preset) {
  switch (preset) {
    case WatermarkPreset::kQuiet:
      return "quiet";
    case WatermarkPreset::kNormal:
      return "normal";
    case WatermarkPreset::kStrong:
      return "strong";
  }
  return "unknown";
}

WatermarkPreset parse_watermark_preset(const std::string& name) {
  for (const auto preset : {WatermarkPreset::kQuiet, WatermarkPreset::kNormal, WatermarkPreset::kStrong}) {
    if (name == to_string(preset)) return preset;
  }
  fail(ErrorCode::kInvalidArgument, "watermark preset is '{}'; expected quiet, normal or strong", name);
}

}  // namespace csm
