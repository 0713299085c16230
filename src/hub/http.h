// HTTP over libcurl: one request at a time, redirects followed here so that the token stays with the hub.
//
// Place in the flow: api and file_fetch ask, this answers. A transfer that breaks is an answer with status 0, not an
// exception, because it is tried again. One client serves one thread; it keeps its connections open between requests.
#pragma once

#include <csm/hub.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/cancel.h"

namespace csm {

struct HttpAnswer {
  int status = 0;                              // 0: no answer, see `failure`
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;                            // unless a sink took it; at most max_body_bytes
  std::string location;                        // where a redirect leads that was not followed
  std::string failure;                         // what went wrong on the way, for people
  bool may_retry = true;                       // false: another attempt would end the same way
  int64_t retry_after_s = 0;                   // as the server asked; 0: it did not

  bool ok() const { return status >= 200 && status < 300; }
  std::string header(const char* name) const;  // "" when there is none
};

enum class HttpMethod { kGet, kHead };
enum class FollowRedirects { kWithinHost, kAnywhere };

struct HttpRequest {
  HttpMethod method = HttpMethod::kGet;
  FollowRedirects redirects = FollowRedirects::kAnywhere;
  std::string url;
  uint64_t range_from = 0;  // asks for the bytes from here on
  uint64_t max_body_bytes = 1 << 20;
  // Takes the body of an answer with status 2xx as it arrives; what it throws comes out of send(). No limit on size or
  // time but that the bytes keep coming.
  std::function<void(const HttpAnswer& head, std::string_view bytes)> sink;
};

// "https://host:443" of a URL; "" when it is none of http and https.
std::string url_origin(const std::string& url);

// Without what follows '?': signatures of download addresses are secrets.
std::string public_url(const std::string& url);

class HttpClient {
 public:
  HttpClient(const HubOptions& options, CancelToken cancel);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // One attempt. Errors: kCancelled; kInternal when libcurl does not work at all.
  HttpAnswer send(const HttpRequest& request);

  // Attempts until there is an answer that another attempt would not change, with a growing pause between them: after a
  // broken connection, 408, 429 (as long as Retry-After says) and 5xx. Gives up after options.n_attempts in a row.
  HttpAnswer send_patiently(const HttpRequest& request);

  const HubOptions& options() const { return options_; }
  const CancelToken& cancel() const { return cancel_; }

 private:
  struct Transfer;
  HttpAnswer perform(const HttpRequest& request, const std::string& url);

  const HubOptions options_;
  const std::string origin_;
  CancelToken cancel_;
  void* curl_;  // CURL*
};

// Counts attempts that led nowhere, and pauses before the next.
class Patience {
 public:
  Patience(const HubOptions& options, const CancelToken& cancel) : options_(options), cancel_(cancel) {}

  // Whether another attempt may change this answer.
  static bool is_passing(const HttpAnswer& answer);

  // Pauses; false when there were enough attempts, or the server asks for a longer pause than anybody waits. Errors:
  // kCancelled.
  bool pause(const HttpAnswer& answer);
  void progress() { n_failed_ = 0; }

 private:
  const HubOptions& options_;
  const CancelToken& cancel_;
  int n_failed_ = 0;
};

}  // namespace csm
