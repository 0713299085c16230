// Models by name: "owner/name" on the Hugging Face Hub, kept in the hub's own cache on this machine.
//
// The cache is the one that Python's huggingface_hub keeps (models--owner--name with refs, blobs and snapshots): files
// that one of the two has fetched are found by the other. Only the files that csm reads are fetched, each is verified,
// and a broken download goes on where it stopped. Functions keep no state and may be called from any thread; several
// processes may use one cache at the same time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <csm/error.h>

namespace csm {

struct HubOptions {
  std::string cache_directory;  // holds models--owner--name
  // Models whose tokenizer or codec is in another repository are put together here, as directories of links.
  std::string view_directory;
  std::string endpoint = "https://huggingface.co";
  std::string token;       // sent to the endpoint and to no other host; empty: none
  std::string token_path;  // where a person may put one; for messages
  bool offline = false;    // use what is in the cache and connect to nothing
  int n_parallel = 4;      // files at a time, 1 to 16
  int n_attempts = 6;      // in a row without a byte of progress, 1 to 100
  int backoff_ms = 500;    // before the second attempt; doubles with each, up to a minute
  int answer_timeout_s = 10;
  int stall_timeout_s = 30;  // a transfer that stands still as long as this is broken off and tried again

  // Errors: kInvalidArgument.
  void validate() const;

  // HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE and the others that huggingface_hub
  // reads; XDG_CACHE_HOME for both directories. Errors: kInvalidArgument, kIo.
  static HubOptions from_environment();
};

// "owner/name", "owner/name@revision", "owner/name/file@revision", or a short name ("csm-1b").
struct HubName {
  std::string repo;      // "owner/name"
  std::string file;      // one file of it; empty: the model as a whole
  std::string revision;  // branch, tag or commit; empty: "main"

  std::string text() const;
};

struct KnownModel {
  std::string short_name;
  std::string repo;
  std::string about;
};

const std::vector<KnownModel>& known_models();

// nullopt when the text cannot be the name of a model on the hub (a path, say).
std::optional<HubName> parse_hub_name(const std::string& text);

struct HubProgress {
  std::string repo;
  int n_files = 0;  // that are known to be needed so far
  int n_files_done = 0;
  uint64_t bytes = 0;  // present; those of earlier downloads count
  uint64_t total_bytes = 0;
  std::string note;  // what is waited for; empty while bytes arrive
};

// Called about ten times a second from the thread that called; false stops the download, which a later one resumes.
using HubProgressCallback = std::function<bool(const HubProgress&)>;

struct PulledModel {
  std::string path;  // what EngineOptions::model takes
  std::string repo;
  std::string revision;
  std::string commit;
  std::vector<std::string> files;       // of this repository, without those of companions
  std::vector<std::string> companions;  // "owner/name/file": tokenizer or codec that the repository lacks
  uint64_t bytes = 0;                   // of files and companions
  uint64_t fetched_bytes = 0;           // by this call
};

// Brings the newest state of a model into the cache. Errors: kNotFound (no such model, revision or file; gated without
// access; offline and not there), kIo (network, disk), kInvalidData (what came is not what was announced),
// kResourceLimit (disk too small), kUnsupported (no weights in a form that csm reads), kCancelled.
PulledModel pull_model(const HubName& name, const HubOptions& options, const HubProgressCallback& on_progress);

// The path of a model: what is whole in the cache is taken as it is, without a connection; else pull_model.
std::string resolve_model(const HubName& name, const HubOptions& options, const HubProgressCallback& on_progress);

struct CachedModel {
  std::string repo;
  std::string commit;
  std::vector<std::string> revisions;  // the names that stand for this commit
  std::string path;
  std::vector<std::string> files;
  uint64_t bytes = 0;         // of these files; commits of one repository may share some
  int64_t modified_unix = 0;  // the newest file's time, in seconds
  std::string problem;        // empty: whole
};

// Every commit of every model in the cache, sorted by name. Errors: kIo.
std::vector<CachedModel> cached_models(const HubOptions& options);

// Deletes a model, or with a revision that commit and what only it uses. Returns the bytes freed. Errors: kNotFound,
// kInvalidArgument (a file was named), kIo (also while another process downloads it).
uint64_t remove_cached_model(const HubName& name, const HubOptions& options);

}  // namespace csm
