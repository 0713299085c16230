// The hub's HTTP interface: which files a commit holds, what a file's name and size are; and what its refusals mean.
//
// Place in the flow: names -> HttpClient -> (here) -> checked values for pull and file_fetch. Whatever a server sends
// ends in checked values or csm::Error. Stateless; any thread with a client of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/http.h"

namespace csm {

struct RepoFile {
  std::string name;
  std::optional<uint64_t> n_bytes;
  std::string blob_id;  // git's hash of the file, or of its LFS pointer; "" when the server does not say
  std::string sha256;   // of LFS files
};

struct RepoInfo {
  std::string commit;
  std::vector<RepoFile> files;

  const RepoFile* find(std::string_view name) const;  // nullptr when there is none
};

// The answer of api/models/NAME/revision/REVISION?blobs=true. `where` opens every message. Errors: kInvalidData, also
// for file names that would leave the repository.
RepoInfo parse_repo_info(std::string_view body, const std::string& where);

// Errors: those of fail_refused.
RepoInfo fetch_repo_info(HttpClient& client, const HubName& name);

// What is known of one file before its bytes.
struct FileMetadata {
  std::string etag;
  std::optional<uint64_t> n_bytes;
};

std::string file_url(const HubOptions& options, const std::string& repo, const std::string& commit,
                     const std::string& file);

// Reads etag and size from the headers of an answer for a file. Errors: kInvalidData.
FileMetadata parse_file_metadata(const HttpAnswer& answer, const std::string& where);
FileMetadata fetch_file_metadata(HttpClient& client, const std::string& repo, const std::string& commit,
                                 const std::string& file);

// Turns an answer that is not a success into one line that says what to do. `file` may be empty. Errors: kNotFound
// (401, 403, 404), kIo (network, 429, 5xx), kCancelled.
[[noreturn]] void fail_refused(HttpClient& client, const HttpAnswer& answer, const HubName& name);

}  // namespace csm
