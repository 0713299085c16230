// Any bytes as the hub's list of files, as the headers of a file, or as a name from the command line: what comes out
// can be put into paths and URLs, or it ends in csm::Error.
#include <csm/error.h>
#include <csm/hub.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "hub/api.h"
#include "hub/names.h"
#include "hub/needed_files.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

// Nothing that leaves the directory it is put into.
void check_path(const std::string& path) {
  check(!path.empty() && path.front() != '/' && ("/" + path + "/").find("/../") == std::string::npos &&
        path.find('\0') == std::string::npos && path.find('\n') == std::string::npos);
}

template <typename Call>
void run(const Call& call) {
  try {
    call();
  } catch (const csm::Error& error) {
    check(std::strchr(error.what(), '\n') == nullptr);
  }
}

void read_info(std::string_view text) {
  const csm::RepoInfo info = csm::parse_repo_info(text, "input");
  check(csm::is_commit(info.commit));
  std::vector<std::string> names;
  for (const csm::RepoFile& file : info.files) {
    check_path(file.name);
    check(file.sha256.empty() || csm::is_sha256(file.sha256));
    check(file.blob_id.empty() || csm::is_commit(file.blob_id));
    check(csm::url_path(file.name).find_first_of(" ?#\\") == std::string::npos);
    names.push_back(file.name);
  }
  const csm::NeededFiles needed = csm::choose_files(names, "", "owner/name");
  for (const std::string& name : needed.small) check(info.find(name) != nullptr);
  for (const std::string& name : needed.weights) check(info.find(name) != nullptr);
}

// Lines of "name: value".
void read_headers(std::string_view text) {
  csm::HttpAnswer answer;
  answer.status = 200;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    answer.headers.emplace(line.substr(0, colon), line.substr(colon + 2));
  }
  const csm::FileMetadata metadata = csm::parse_file_metadata(answer, "input");
  check_path(metadata.etag);
  check(metadata.etag.find('/') == std::string::npos);
}

void read_name(const std::string& text) {
  const auto name = csm::parse_hub_name(text);
  if (!name) return;
  check_path(name->repo);
  check(csm::is_repo_name(name->repo));
  if (!name->file.empty()) check_path(name->file);
  if (!name->revision.empty()) check_path(name->revision);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), n_bytes);
  run([&] { read_info(text); });
  run([&] { read_headers(text); });
  run([&] { read_name(std::string(text)); });
  run([&] { (void)csm::url_origin(std::string(text)); });
  return 0;
}
