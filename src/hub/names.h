// Names that come from people and servers, checked before they become parts of paths and URLs.
//
// Place in the flow: command line and API answers -> (here) -> cache paths and requests. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <csm/hub.h>

namespace csm {

// "owner/name" as the hub allows them.
bool is_repo_name(std::string_view text);
// A branch, tag, pull request or commit: parts between slashes, none of which can leave its folder.
bool is_revision(std::string_view text);
bool is_commit(std::string_view text);  // 40 hexadecimal digits
bool is_sha256(std::string_view text);  // 64 hexadecimal digits
// A file inside a repository: a relative path without empty, hidden-parent or control parts.
bool is_repo_file(std::string_view text);
// A blob's name: letters, digits, '.', '_' and '-'.
bool is_etag(std::string_view text);

// W/"abc" -> abc.
std::string plain_etag(std::string_view header);

// Percent-encoded; slashes stay as they are.
std::string url_path(std::string_view path);
// Slashes too.
std::string url_part(std::string_view part);

// The candidate nearest to what was typed, as "; did you mean 'x'?", or "".
std::string did_you_mean(const std::string& typed, const std::vector<std::string>& candidates);

// The revision that is meant: "main" when none was named.
std::string revision_of(const HubName& name);

// Where companions of checkpoints are found that lack them, in the order in which they are tried.
struct Companion {
  const char* repo;
  const char* file;
};
const std::vector<Companion>& tokenizer_companions();
const std::vector<Companion>& codec_companions();

}  // namespace csm
