#include "io/zip.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/fail.h"
#include "io/json.h"

namespace csm {
namespace {

constexpr uint32_t kLocalMagic = 0x04034b50;
constexpr uint32_t kDirectoryMagic = 0x02014b50;
constexpr uint32_t kEndMagic = 0x06054b50;
constexpr uint32_t kEnd64Magic = 0x06064b50;
constexpr uint32_t kLocatorMagic = 0x07064b50;
constexpr uint64_t kLocalBytes = 30;
constexpr uint64_t kDirectoryBytes = 46;
constexpr uint64_t kEndBytes = 22;
constexpr uint64_t kEnd64Bytes = 56;
constexpr uint64_t kLocatorBytes = 20;
constexpr uint64_t kMaxCommentBytes = 0xFFFF;
constexpr uint64_t kMaxEntries = 1 << 18;
constexpr uint64_t kIn64 = 0xFFFFFFFF;  // a field of 32 bits whose value is in the 64-bit extra field
constexpr uint16_t kExtra64 = 1;
constexpr unsigned kFlagEncrypted = 1;
constexpr unsigned kFlagSizesFollow = 8;  // sizes and check value come after the data, not in the local header

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0u);
    table[i] = value;
  }
  return table;
}

std::string shown(std::string_view name) { return brief(nlohmann::json(std::string(name))); }

// Where the end records say the directory is.
struct Directory {
  uint64_t n_entries = 0;
  uint64_t n_bytes = 0;
  uint64_t offset = 0;
};

// What the directory says of one entry.
struct Record {
  ZipEntry entry;
  uint64_t n_bytes = 0;
  uint64_t offset = 0;  // of the local header
  uint64_t end = 0;     // of the data
};

class ZipReader {
 public:
  ZipReader(std::span<const std::byte> bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  std::vector<ZipEntry> read() {
    const Directory directory = find_directory();
    std::vector<Record> records;
    uint64_t at = directory.offset;
    const uint64_t end = directory.offset + directory.n_bytes;
    for (uint64_t i = 0; i < directory.n_entries; ++i) records.push_back(read_record(at, end));
    if (at != end) {
      fail(ErrorCode::kInvalidData, "'{}': {} bytes of the zip directory belong to no entry", where_, end - at);
    }
    for (Record& record : records) locate_data(record, directory.offset);
    check_names(records);
    check_apart(records);
    std::vector<ZipEntry> entries;
    for (Record& record : records) entries.push_back(record.entry);
    return entries;
  }

 private:
  // Callers check that the bytes are there.
  uint64_t number(uint64_t at, int n_bytes) const {
    uint64_t value = 0;
    for (int i = 0; i < n_bytes; ++i) {
      value |= std::to_integer<uint64_t>(bytes_[static_cast<size_t>(at) + static_cast<size_t>(i)]) << (8 * i);
    }
    return value;
  }
  uint64_t u16(uint64_t at) const { return number(at, 2); }
  uint64_t u32(uint64_t at) const { return number(at, 4); }
  uint64_t u64(uint64_t at) const { return number(at, 8); }
  std::string_view text(uint64_t at, uint64_t n) const {
    return {reinterpret_cast<const char*>(bytes_.data()) + at, static_cast<size_t>(n)};
  }

  // The end record stands last, but for a comment whose length it gives.
  uint64_t find_end() const {
    const uint64_t size = bytes_.size();
    const uint64_t furthest = size < kEndBytes + kMaxCommentBytes ? 0 : size - kEndBytes - kMaxCommentBytes;
    for (uint64_t at = size < kEndBytes ? 0 : size - kEndBytes + 1; at-- > furthest;) {
      if (u32(at) == kEndMagic && u16(at + 20) == size - kEndBytes - at) return at;
    }
    fail(ErrorCode::kInvalidData, "'{}' is a zip archive without its end: the file is truncated or damaged", where_);
  }

  Directory find_directory() const {
    const uint64_t end = find_end();
    Directory directory{u16(end + 10), u32(end + 12), u32(end + 16)};
    if (u16(end + 4) != u16(end + 6) || u16(end + 8) != u16(end + 10)) fail_split();
    uint64_t limit = end;
    if (end >= kLocatorBytes && u32(end - kLocatorBytes) == kLocatorMagic) limit = read_end64(end - kLocatorBytes, directory);
    if (directory.n_entries > kMaxEntries || directory.n_entries > directory.n_bytes / kDirectoryBytes) {
      fail(ErrorCode::kInvalidData, "'{}' claims {} zip entries in a directory of {} bytes; at most {} are read", where_,
           directory.n_entries, directory.n_bytes, kMaxEntries);
    }
    if (directory.n_bytes > limit || directory.offset != limit - directory.n_bytes) {
      fail(ErrorCode::kInvalidData,
           "'{}': the zip directory lies at byte {} with {} bytes; expected it to end at byte {}: the file is truncated or damaged",
           where_, directory.offset, directory.n_bytes, limit);
    }
    return directory;
  }

  // Replaces what did not fit the short end record. Gives the place of the long one.
  uint64_t read_end64(uint64_t locator, Directory& directory) const {
    const uint64_t at = u64(locator + 8);
    if (locator < kEnd64Bytes || at > locator - kEnd64Bytes || u32(at) != kEnd64Magic || u64(at + 4) != locator - at - 12) {
      fail(ErrorCode::kInvalidData, "'{}': the 64-bit end of the zip archive is not at byte {}, where it should be", where_, at);
    }
    if (u32(locator + 16) > 1 || u32(at + 16) != u32(at + 20) || u64(at + 24) != u64(at + 32)) fail_split();
    const Directory wide{u64(at + 32), u64(at + 40), u64(at + 48)};
    const bool agrees = (directory.n_entries == 0xFFFF || directory.n_entries == wide.n_entries) &&
                        (directory.n_bytes == kIn64 || directory.n_bytes == wide.n_bytes) &&
                        (directory.offset == kIn64 || directory.offset == wide.offset);
    if (!agrees) fail(ErrorCode::kInvalidData, "'{}': the two ends of the zip archive disagree", where_);
    directory = wide;
    return at;
  }

  // One entry of the directory; moves `at` behind it.
  Record read_record(uint64_t& at, uint64_t end) const {
    if (end - at < kDirectoryBytes || u32(at) != kDirectoryMagic) {
      fail(ErrorCode::kInvalidData, "'{}': no zip entry at byte {}, where the directory should have one", where_, at);
    }
    const uint64_t name_bytes = u16(at + 28), extra_bytes = u16(at + 30), comment_bytes = u16(at + 32);
    if (end - at - kDirectoryBytes < name_bytes + extra_bytes + comment_bytes) {
      fail(ErrorCode::kInvalidData, "'{}': the zip entry at byte {} is longer than the directory", where_, at);
    }
    Record record;
    record.entry.name = text(at + kDirectoryBytes, name_bytes);
    record.entry.crc = static_cast<uint32_t>(u32(at + 16));
    uint64_t packed_bytes = u32(at + 20);
    record.n_bytes = u32(at + 24);
    record.offset = u32(at + 42);
    // In this order, and only those that did not fit.
    uint64_t* const wide[] = {&record.n_bytes, &packed_bytes, &record.offset};
    read_wide(record.entry.name, at + kDirectoryBytes + name_bytes, extra_bytes, wide);
    check_method(record.entry.name, u16(at + 8), u16(at + 10));
    if (packed_bytes != record.n_bytes) {
      fail(ErrorCode::kInvalidData, "'{}': zip entry {} is stored, but has {} bytes in the file and {} outside it", where_,
           shown(record.entry.name), packed_bytes, record.n_bytes);
    }
    at += kDirectoryBytes + name_bytes + extra_bytes + comment_bytes;
    return record;
  }

  void read_wide(std::string_view name, uint64_t at, uint64_t n_bytes, std::span<uint64_t* const> fields) const {
    if (std::none_of(fields.begin(), fields.end(), [](const uint64_t* field) { return *field == kIn64; })) return;
    for (uint64_t rest = n_bytes; rest >= 4;) {
      const uint64_t size = u16(at + 2);
      if (size > rest - 4) break;
      if (u16(at) == kExtra64) {
        uint64_t from = at + 4;
        for (uint64_t* field : fields) {
          if (*field != kIn64) continue;
          if (at + 4 + size - from < 8) break;
          *field = u64(from);
          from += 8;
        }
        break;
      }
      at += 4 + size;
      rest -= 4 + size;
    }
    if (std::any_of(fields.begin(), fields.end(), [](const uint64_t* field) { return *field == kIn64; })) {
      fail(ErrorCode::kInvalidData, "'{}': zip entry {} lacks its 64-bit sizes", where_, shown(name));
    }
  }

  void check_method(std::string_view name, uint64_t flags, uint64_t method) const {
    if ((flags & kFlagEncrypted) != 0) {
      fail(ErrorCode::kUnsupported, "'{}': zip entry {} is encrypted, which is not read", where_, shown(name));
    }
    if (method != 0) {
      fail(ErrorCode::kUnsupported,
           "'{}': zip entry {} is compressed (method {}), as in a TorchScript program or a file that was zipped again; weights are stored "
         "uncompressed: save the state_dict() with torch.save",
           where_, shown(name), method);
    }
  }

  // The local header repeats the directory; where they differ, two readers would see two different files.
  void locate_data(Record& record, uint64_t limit) const {
    const uint64_t at = record.offset;
    const std::string_view name = record.entry.name;
    if (limit < kLocalBytes || at > limit - kLocalBytes || u32(at) != kLocalMagic) {
      fail(ErrorCode::kInvalidData, "'{}': zip entry {} is not at byte {}, where the directory says: the file is truncated or damaged",
           where_, shown(name), at);
    }
    const uint64_t name_bytes = u16(at + 26), extra_bytes = u16(at + 28);
    if (limit - at - kLocalBytes < name_bytes + extra_bytes || text(at + kLocalBytes, name_bytes) != name) {
      fail(ErrorCode::kInvalidData, "'{}': zip entry {} has another name in its own header", where_, shown(name));
    }
    check_method(name, u16(at + 6), u16(at + 8));
    uint64_t packed_bytes = u32(at + 18);
    uint64_t n_bytes = u32(at + 22);
    if ((u16(at + 6) & kFlagSizesFollow) == 0) {
      uint64_t* const wide[] = {&n_bytes, &packed_bytes};
      read_wide(name, at + kLocalBytes + name_bytes, extra_bytes, wide);
      if (n_bytes != record.n_bytes || packed_bytes != record.n_bytes) {
        fail(ErrorCode::kInvalidData, "'{}': zip entry {} has {} bytes by its own header and {} by the directory", where_, shown(name),
             n_bytes, record.n_bytes);
      }
    }
    const uint64_t begin = at + kLocalBytes + name_bytes + extra_bytes;
    if (record.n_bytes > limit - begin) {
      fail(ErrorCode::kInvalidData, "'{}': zip entry {} has {} bytes of which {} are there: the file is truncated or damaged", where_,
           shown(name), record.n_bytes, limit - begin);
    }
    record.end = begin + record.n_bytes;
    record.entry.data = bytes_.subspan(static_cast<size_t>(begin), static_cast<size_t>(record.n_bytes));
  }

  // Nothing is written under these names, but whoever unpacks such a file elsewhere is harmed.
  void check_names(const std::vector<Record>& records) const {
    std::set<std::string_view> names;
    for (const Record& record : records) {
      const std::string_view name = record.entry.name;
      const bool leaves = name.empty() || name.front() == '/' || name.find_first_of(std::string_view("\\\0", 2)) != name.npos ||
                          ("/" + std::string(name) + "/").find("/../") != std::string::npos;
      if (leaves) fail(ErrorCode::kInvalidData, "'{}': zip entry {} has a name that leaves its folder", where_, shown(name));
      if (!names.insert(name).second) {
        fail(ErrorCode::kInvalidData, "'{}' has two zip entries of the name {}", where_, shown(name));
      }
    }
  }

  void check_apart(const std::vector<Record>& records) const {
    std::vector<const Record*> order;
    for (const Record& record : records) order.push_back(&record);
    std::sort(order.begin(), order.end(), [](const Record* a, const Record* b) { return a->offset < b->offset; });
    for (size_t i = 1; i < order.size(); ++i) {
      if (order[i]->offset >= order[i - 1]->end) continue;
      fail(ErrorCode::kInvalidData, "'{}': zip entries {} and {} overlap", where_, shown(order[i - 1]->entry.name),
           shown(order[i]->entry.name));
    }
  }

  [[noreturn]] void fail_split() const {
    fail(ErrorCode::kUnsupported, "'{}' is one part of a split zip archive, which is not read", where_);
  }

  std::span<const std::byte> bytes_;
  const std::string& where_;
};

}  // namespace

bool has_zip_magic(std::span<const std::byte> bytes) {
  constexpr unsigned char kMagic[] = {'P', 'K', 3, 4};
  return bytes.size() >= sizeof kMagic && std::equal(std::begin(kMagic), std::end(kMagic), bytes.begin(),
                                                     [](unsigned char a, std::byte b) { return std::byte{a} == b; });
}

std::vector<ZipEntry> read_zip(std::span<const std::byte> bytes, const std::string& where) { return ZipReader(bytes, where).read(); }

uint32_t zip_crc32(std::span<const std::byte> bytes) {
  static constexpr std::array<uint32_t, 256> kTable = crc_table();
  uint32_t value = 0xFFFFFFFFu;
  for (const std::byte byte : bytes) value = (value >> 8) ^ kTable[(value ^ std::to_integer<uint32_t>(byte)) & 0xFF];
  return ~value;
}

}  // namespace csm
