#include "batch/manifest.h"

#include <csm/error.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "files.h"
#include "flags.h"
#include "interrupt.h"

namespace csm::app {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

std::string to_line(const Json& entry) { return entry.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string text_at(const Json& entry, const char* key) {
  const auto it = entry.find(key);
  return it != entry.end() && it->is_string() ? it->get<std::string>() : "";
}

int64_t line_of(const Json& entry) {
  const auto it = entry.find("line");
  return it != entry.end() && it->is_number_integer() ? it->get<int64_t>() : 0;
}

}  // namespace

Manifest::Manifest(const std::string& folder) : folder_(folder) {
  std::error_code error;
  if (!std::filesystem::exists(path(), error)) return;
  const std::string text = read_text(path());
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    read_line(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

void Manifest::read_line(const std::string& line) {
  Json entry = Json::parse(line, nullptr, false);
  if (!entry.is_object()) return;
  const std::string file = text_at(entry, "file");
  if (!file.empty()) entries_[file] = std::move(entry);
}

bool Manifest::is_done(const std::string& file, const std::string& request) const {
  const auto it = entries_.find(file);
  if (it == entries_.end() || text_at(it->second, "status") != "done" || text_at(it->second, "request") != request) {
    return false;
  }
  std::error_code error;
  const auto path = std::filesystem::path(folder_) / file;
  return std::filesystem::is_regular_file(path, error) && std::filesystem::file_size(path, error) > 0;
}

void Manifest::add(const Json& entry) {
  entries_[entry.at("file")] = entry;
  const std::string line = to_line(entry);
  const HoldSignals held;
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path().c_str(), "ab"));
  if (file == nullptr || std::fwrite(line.data(), 1, line.size(), file.get()) != line.size() ||
      std::fflush(file.get()) != 0) {
    throw Error(ErrorCode::kIo, fmt::format("cannot write '{}': {}", path(), std::strerror(errno)));
  }
}

void Manifest::write_in_order() const {
  std::vector<const Json*> entries;
  for (const auto& [file, entry] : entries_) entries.push_back(&entry);
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Json* a, const Json* b) { return line_of(*a) < line_of(*b); });
  std::string text;
  for (const Json* entry : entries) text += to_line(*entry);
  const HoldSignals held;
  write_text_file(path(), text);
}

}  // namespace csm::app
