#include "cache/content.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "base/damage_digest.h"
#include "base/fail.h"
#include "hub/cache.h"
#include "hub/digest.h"
#include "io/file.h"
#include "io/json.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxRecordBytes = uint64_t{1} << 20;
constexpr int kRecordVersion = 1;
constexpr size_t kDigestDigits = 64;
// A file that is written again within one tick of its clock looks unchanged, so younger files are not believed.
constexpr int64_t kClockTickNs = 50'000'000;

int64_t nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

int64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return nanoseconds(time);
}

FileState state_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) fail(ErrorCode::kIo, "cannot examine '{}': {}", path, std::strerror(errno));
#ifdef __APPLE__
  const timespec modified = info.st_mtimespec;
  const timespec changed = info.st_ctimespec;
#else
  const timespec modified = info.st_mtim;
  const timespec changed = info.st_ctim;
#endif
  return {fs::absolute(path).lexically_normal().string(), static_cast<uint64_t>(info.st_size), nanoseconds(modified),
          nanoseconds(changed), static_cast<uint64_t>(info.st_ino), static_cast<uint64_t>(info.st_dev)};
}

std::vector<FileState> states_of(const std::vector<FileState>& files) {
  std::vector<FileState> states;
  for (const FileState& file : files) states.push_back(state_of(file.path));
  return states;
}

// All paths in one name, so that a model whose files are given otherwise has another record.
std::string record_name(const std::vector<FileState>& files) {
  std::string paths;
  for (const FileState& file : files) paths += file.path + '\n';
  return fmt::format("{:016x}.json", damage_digest(paths));
}

bool is_digest(const std::string& text) {
  return text.size() == kDigestDigits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

template <typename T>
T number(const nlohmann::json& entry, const char* key, const std::string& where) {
  const auto it = entry.find(key);
  if (it == entry.end() || !it->is_number_integer()) fail(ErrorCode::kInvalidData, "'{}': '{}' must be a whole number", where, key);
  return it->get<T>();
}

}  // namespace

SourceRecord parse_source_record(const std::string& text, const std::string& where) {
  const nlohmann::json document = parse_json(text, where);
  const JsonObject object(document, where);
  if (number<int64_t>(document, "version", where) != kRecordVersion) fail(ErrorCode::kInvalidData, "'{}' is of another version", where);
  SourceRecord record;
  record.content = object.text("content");
  if (!is_digest(record.content)) fail(ErrorCode::kInvalidData, "'{}': 'content' is no SHA-256", where);
  const auto files = document.find("files");
  if (files == document.end() || !files->is_array()) fail(ErrorCode::kInvalidData, "'{}': 'files' must be a list", where);
  for (const nlohmann::json& file : *files) {
    record.files.push_back({JsonObject(file, where, "files").text("path"), number<uint64_t>(file, "size", where),
                            number<int64_t>(file, "mtime_ns", where), number<int64_t>(file, "ctime_ns", where),
                            number<uint64_t>(file, "inode", where), number<uint64_t>(file, "device", where)});
  }
  return record;
}

ContentDigest::ContentDigest(const std::string& cache_directory, const std::vector<std::string>& files) {
  for (const std::string& file : files) files_.push_back(state_of(file));
  record_path_ = (fs::path(cache_directory) / "sources" / record_name(files_)).string();
  std::error_code error;
  if (!fs::is_regular_file(record_path_, error)) return;
  try {
    const SourceRecord record = parse_source_record(read_text_file(record_path_, kMaxRecordBytes), record_path_);
    if (record.files == files_) known_ = record.content;
  } catch (const Error&) {
    // A record that cannot be read says nothing, and is written anew.
  }
}

const std::string& ContentDigest::get() {
  if (known_) return *known_;
  read_at_ns_ = now_ns();
  std::string digests;
  for (const FileState& file : files_) digests += digest_file(file.path, DigestKind::kSha256, {}).sha256 + '\n';
  known_ = sha256_of(digests);
  is_computed_ = true;
  return *known_;
}

void ContentDigest::remember() const {
  if (!is_computed_ || states_of(files_) != files_) return;
  const bool is_young = std::any_of(files_.begin(), files_.end(),
                                    [&](const FileState& file) { return file.ctime_ns > read_at_ns_ - kClockTickNs; });
  if (is_young) return;
  nlohmann::json list = nlohmann::json::array();
  for (const FileState& file : files_) {
    list.push_back({{"path", file.path},
                    {"size", file.size},
                    {"mtime_ns", file.mtime_ns},
                    {"ctime_ns", file.ctime_ns},
                    {"inode", file.inode},
                    {"device", file.device}});
  }
  const nlohmann::json document = {{"version", kRecordVersion}, {"content", *known_}, {"files", list}};
  create_directories_of(record_path_);
  AtomicFile out(record_path_);
  // Paths may be anything; what is no UTF-8 is then not found again, and only costs time.
  out.write(document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  out.commit();
}

}  // namespace csm
