#include "hub/api.h"

#include <algorithm>
#include <set>

#include "base/fail.h"
#include "hub/names.h"
#include "io/json.h"

namespace csm {
namespace {

constexpr uint64_t kMaxInfoBytes = uint64_t{32} << 20;
constexpr size_t kMaxFiles = 100'000;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 50;

// A whole number of bytes, when the field holds one.
std::optional<uint64_t> size_field(const nlohmann::json& object, const char* key, const std::string& where) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return std::nullopt;
  if (!it->is_number_unsigned() || it->get<uint64_t>() > kMaxFileBytes) {
    fail(ErrorCode::kInvalidData, "{}: '{}' is {}; expected a number of bytes", where, key, brief(*it));
  }
  return it->get<uint64_t>();
}

std::string text_field(const nlohmann::json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

RepoFile parse_file(const nlohmann::json& entry, const std::string& where) {
  if (!entry.is_object()) fail(ErrorCode::kInvalidData, "{}: a file is {}; expected an object", where, brief(entry));
  RepoFile file;
  file.name = text_field(entry, "rfilename");
  if (!is_repo_file(file.name)) {
    fail(ErrorCode::kInvalidData, "{}: refused the file name {}: expected a path inside the repository", where,
         brief(nlohmann::json(file.name)));
  }
  file.n_bytes = size_field(entry, "size", where);
  file.blob_id = text_field(entry, "blobId");
  if (!is_commit(file.blob_id)) file.blob_id.clear();
  const auto lfs = entry.find("lfs");
  if (lfs != entry.end() && lfs->is_object()) {
    file.sha256 = text_field(*lfs, "sha256");
    if (file.sha256.empty()) file.sha256 = text_field(*lfs, "oid");
    if (!is_sha256(file.sha256)) file.sha256.clear();
    if (const auto n_bytes = size_field(*lfs, "size", where)) file.n_bytes = n_bytes;
  }
  return file;
}

// Branches and tags of a model, for a suggestion; a refusal only leaves it out.
std::vector<std::string> list_revisions(HttpClient& client, const std::string& repo) {
  HttpRequest request;
  request.url = fmt::format("{}/api/models/{}/refs", client.options().endpoint, url_path(repo));
  const HttpAnswer answer = client.send(request);
  std::vector<std::string> names;
  if (!answer.ok()) return names;
  try {
    const nlohmann::json document = parse_json(answer.body, "refs");
    for (const char* kind : {"branches", "tags"}) {
      const auto list = document.is_object() ? document.find(kind) : document.end();
      if (!document.is_object() || list == document.end() || !list->is_array()) continue;
      for (const nlohmann::json& entry : *list) {
        const std::string name = entry.is_object() ? text_field(entry, "name") : "";
        if (is_revision(name) && names.size() < kMaxFiles) names.push_back(name);
      }
    }
  } catch (const Error&) {
    return names;
  }
  return names;
}

std::string token_advice(const HubOptions& options) {
  return fmt::format("put a token of {}/settings/tokens into HF_TOKEN or into the file '{}'", options.endpoint,
                     options.token_path);
}

[[noreturn]] void fail_unknown_model(const HubOptions& options, const std::string& repo) {
  std::vector<std::string> names;
  for (const KnownModel& known : known_models()) names.push_back(known.repo);
  fail(ErrorCode::kNotFound, "there is no model '{}' at {}, or it is private{}{}", repo, options.endpoint,
       options.token.empty() ? "; for a private one " + token_advice(options) : " and the token does not open it",
       did_you_mean(repo, names));
}

[[noreturn]] void fail_forbidden(const HubOptions& options, const HttpAnswer& answer, const std::string& repo) {
  const bool gated = answer.header("x-error-code") == "GatedRepo";
  if (gated && options.token.empty()) {
    fail(ErrorCode::kNotFound, "model '{}' is gated: open {}/{} in a browser, accept its terms, and {}", repo,
         options.endpoint, repo, token_advice(options));
  }
  if (gated) {
    fail(ErrorCode::kNotFound,
         "model '{}' is gated and the token has no access to it: open {}/{} and ask for access; "
         "the token is that of HF_TOKEN or of the file '{}'",
         repo, options.endpoint, repo, options.token_path);
  }
  if (answer.header("x-error-code") == "RepoNotFound") fail_unknown_model(options, repo);
  if (answer.status == 401 && !options.token.empty()) {
    fail(ErrorCode::kNotFound, "{} does not accept the token (status 401): {}", options.endpoint,
         token_advice(options));
  }
  if (answer.status == 401) fail_unknown_model(options, repo);
  fail(ErrorCode::kNotFound, "{} refuses access to model '{}' (status {}): open {}/{}, and {}", options.endpoint, repo,
       answer.status, options.endpoint, repo, token_advice(options));
}

}  // namespace

const RepoFile* RepoInfo::find(std::string_view name) const {
  const auto it = std::find_if(files.begin(), files.end(), [&](const RepoFile& file) { return file.name == name; });
  return it == files.end() ? nullptr : &*it;
}

RepoInfo parse_repo_info(std::string_view body, const std::string& where) {
  const nlohmann::json document = parse_json(body, where);
  RepoInfo info;
  info.commit = JsonObject(document, where).text("sha");
  if (!is_commit(info.commit)) {
    fail(ErrorCode::kInvalidData, "{}: 'sha' is {}; expected a commit of 40 hexadecimal digits", where,
         brief(document.at("sha")));
  }
  const auto siblings = document.find("siblings");
  if (siblings == document.end() || !siblings->is_array() || siblings->size() > kMaxFiles) {
    fail(ErrorCode::kInvalidData, "{}: expected a list 'siblings' of at most {} files", where, kMaxFiles);
  }
  std::set<std::string> names;
  for (const nlohmann::json& entry : *siblings) {
    info.files.push_back(parse_file(entry, where));
    if (!names.insert(info.files.back().name).second) {
      fail(ErrorCode::kInvalidData, "{}: file '{}' is listed twice", where, info.files.back().name);
    }
  }
  return info;
}

RepoInfo fetch_repo_info(HttpClient& client, const HubName& name) {
  HttpRequest request;
  request.max_body_bytes = kMaxInfoBytes;
  request.url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", client.options().endpoint, url_path(name.repo),
                            url_part(revision_of(name)));
  const HttpAnswer answer = client.send_patiently(request);
  if (!answer.ok()) fail_refused(client, answer, {name.repo, "", name.revision});
  return parse_repo_info(answer.body, public_url(request.url));
}

std::string file_url(const HubOptions& options, const std::string& repo, const std::string& commit,
                     const std::string& file) {
  return fmt::format("{}/{}/resolve/{}/{}", options.endpoint, url_path(repo), url_part(commit), url_path(file));
}

FileMetadata parse_file_metadata(const HttpAnswer& answer, const std::string& where) {
  FileMetadata metadata;
  const std::string linked = answer.header("x-linked-etag");
  metadata.etag = plain_etag(linked.empty() ? answer.header("etag") : linked);
  if (!is_etag(metadata.etag)) {
    fail(ErrorCode::kInvalidData, "{}: etag is {}; expected a hash; is the endpoint a Hugging Face Hub?", where,
         brief(nlohmann::json(metadata.etag)));
  }
  std::string size = answer.header("x-linked-size");
  // The length of a redirect's own text is not the file's.
  if (size.empty() && answer.ok()) size = answer.header("content-length");
  if (size.empty()) return metadata;
  const bool number = size.size() <= 15 && size.find_first_not_of("0123456789") == std::string::npos;
  if (!number || std::stoull(size) > kMaxFileBytes) {
    fail(ErrorCode::kInvalidData, "{}: the size is {}; expected a number of bytes", where, brief(nlohmann::json(size)));
  }
  metadata.n_bytes = std::stoull(size);
  return metadata;
}

FileMetadata fetch_file_metadata(HttpClient& client, const std::string& repo, const std::string& commit,
                                 const std::string& file) {
  HttpRequest request;
  request.method = HttpMethod::kHead;
  request.redirects = FollowRedirects::kWithinHost;
  request.url = file_url(client.options(), repo, commit, file);
  const HttpAnswer answer = client.send_patiently(request);
  if (!answer.ok() && answer.location.empty()) fail_refused(client, answer, {repo, file, commit});
  return parse_file_metadata(answer, request.url);
}

void fail_refused(HttpClient& client, const HttpAnswer& answer, const HubName& name) {
  const HubOptions& options = client.options();
  const std::string what = name.file.empty() ? fmt::format("model '{}'", name.repo)
                                             : fmt::format("'{}' of model '{}'", name.file, name.repo);
  if (answer.status == 0) {
    fail(ErrorCode::kIo,
         "cannot fetch {} from {}: {}; check the connection (HF_HUB_OFFLINE=1 uses what is in the cache)", what,
         options.endpoint, answer.failure);
  }
  const std::string code = answer.header("x-error-code");
  if (answer.status == 401 || answer.status == 403) fail_forbidden(options, answer, name.repo);
  if (answer.status == 404 && code == "RevisionNotFound") {
    fail(ErrorCode::kNotFound, "model '{}' has no revision '{}'{}", name.repo, revision_of(name),
         did_you_mean(revision_of(name), list_revisions(client, name.repo)));
  }
  if (answer.status == 404 && !name.file.empty() && code != "RepoNotFound") {
    fail(ErrorCode::kNotFound, "model '{}' has no file '{}'", name.repo, name.file);
  }
  if (answer.status == 404) fail_unknown_model(options, name.repo);
  const std::string later =
      answer.retry_after_s > 0 ? fmt::format("it asks to wait {} s", answer.retry_after_s) : "try again later";
  fail(ErrorCode::kIo, "cannot fetch {} from {}: status {}{}; {}", what, options.endpoint, answer.status,
       answer.status == 429 ? " (too many requests)" : "", later);
}

}  // namespace csm
