#include "hub/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <random>
#include <thread>

#include "base/fail.h"

namespace csm {
namespace {

constexpr int kMaxRedirects = 8;
constexpr size_t kMaxHeaderBytes = 256 << 10;
constexpr long kMinBytesPerSecond = 64;
constexpr int kAnswerPatience = 6;  // a whole small answer may take this many times the answer timeout
constexpr int64_t kMaxRetryAfterS = 120;
constexpr int64_t kMaxBackoffMs = 60'000;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

std::string url_text(CURLU* url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy = text;
  curl_free(text);
  return copy;
}

void append(curl_slist*& list, const std::string& header) {
  curl_slist* longer = curl_slist_append(list, header.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  list = longer;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

void start_curl() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) fail(ErrorCode::kInternal, "libcurl does not start");
  });
}

// What another attempt cannot mend: the address, the certificate, a full disk.
bool is_lasting(CURLcode code) {
  return code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT || code == CURLE_PEER_FAILED_VERIFICATION ||
         code == CURLE_SSL_CACERT_BADFILE || code == CURLE_FILESIZE_EXCEEDED || code == CURLE_WRITE_ERROR;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// The certificates that people name for Python's and curl's programs.
const char* certificate_file() {
  for (const char* name : {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const char* path = std::getenv(name);
    if (path != nullptr && *path != '\0') return path;
  }
  return nullptr;
}

}  // namespace

// What the callbacks of one transfer see.
struct HttpClient::Transfer {
  const HttpRequest& request;
  const CancelToken& cancel;
  HttpAnswer answer;
  size_t header_bytes = 0;
  std::exception_ptr error;  // of the sink

  // A new status line begins a new answer: interim ones (100, 103) come first.
  void take_header(std::string_view line) {
    if (line.substr(0, 5) == "HTTP/") {
      answer.headers.clear();
      const size_t space = line.find(' ');
      answer.status = space == std::string_view::npos ? 0 : std::atoi(std::string(line.substr(space)).c_str());
      return;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    answer.headers[lower(trimmed(line.substr(0, colon)))] = trimmed(line.substr(colon + 1));
  }

  bool take_body(std::string_view bytes) {
    if (request.sink && answer.ok()) {
      request.sink(answer, bytes);
      return true;
    }
    if (bytes.size() > request.max_body_bytes - answer.body.size()) return false;
    answer.body.append(bytes);
    return true;
  }

  static size_t on_header(char* data, size_t size, size_t n, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.header_bytes += size * n;
    if (transfer.header_bytes > kMaxHeaderBytes) return 0;
    try {
      transfer.take_header({data, size * n});
    } catch (...) {
      transfer.error = std::current_exception();
      return 0;
    }
    return size * n;
  }

  static size_t on_body(char* data, size_t size, size_t n, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    try {
      return transfer.take_body({data, size * n}) ? size * n : 0;
    } catch (...) {  // must not pass through libcurl's C code
      transfer.error = std::current_exception();
      return 0;
    }
  }

  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Transfer*>(self)->cancel.cancelled() ? 1 : 0;
  }
};

std::string HttpAnswer::header(const char* name) const {
  const auto it = headers.find(name);
  return it == headers.end() ? "" : it->second;
}

std::string url_origin(const std::string& url) {
  const Url parsed(curl_url());
  if (parsed == nullptr || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return "";
  const std::string scheme = lower(url_text(parsed.get(), CURLUPART_SCHEME, 0));
  if (scheme != "http" && scheme != "https") return "";
  return scheme + "://" + lower(url_text(parsed.get(), CURLUPART_HOST, 0)) + ":" +
         url_text(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

std::string public_url(const std::string& url) { return url.substr(0, url.find_first_of("?#")); }

HttpClient::HttpClient(const HubOptions& options, CancelToken cancel)
    : options_(options), origin_(url_origin(options.endpoint)), cancel_(std::move(cancel)), curl_(nullptr) {
  start_curl();
  curl_ = curl_easy_init();
  if (curl_ == nullptr) fail(ErrorCode::kInternal, "libcurl gives no handle");
}

HttpClient::~HttpClient() { curl_easy_cleanup(curl_); }

HttpAnswer HttpClient::perform(const HttpRequest& request, const std::string& url) {
  CURL* curl = curl_;
  curl_easy_reset(curl);  // keeps the open connections
  Transfer transfer{request, cancel_, {}, 0, nullptr};
  curl_slist* list = nullptr;
  append(list, "Accept-Encoding: identity");  // sizes and hashes are those of the file
  const std::unique_ptr<curl_slist, FreeList> headers(list);
  if (!options_.token.empty() && url_origin(url) == origin_) append(list, "Authorization: Bearer " + options_.token);
  char reason[CURL_ERROR_SIZE] = {};
  const bool streams = static_cast<bool>(request.sink);
  const long stall_s = streams ? options_.stall_timeout_s : options_.answer_timeout_s;
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_NOBODY, request.method == HttpMethod::kHead ? 1L : 0L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, static_cast<long>(options_.answer_timeout_s));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kMinBytesPerSecond);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, stall_s);
  if (!streams) curl_easy_setopt(curl, CURLOPT_TIMEOUT, kAnswerPatience * stall_s);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "csm.cpp");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, Transfer::on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Transfer::on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, Transfer::on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  if (request.range_from > 0) curl_easy_setopt(curl, CURLOPT_RANGE, fmt::format("{}-", request.range_from).c_str());
  if (const char* certificates = certificate_file()) curl_easy_setopt(curl, CURLOPT_CAINFO, certificates);
  const CURLcode code = curl_easy_perform(curl);
  if (transfer.error) std::rethrow_exception(transfer.error);
  if (cancel_.cancelled()) fail(ErrorCode::kCancelled, "the download was interrupted");
  HttpAnswer answer = std::move(transfer.answer);
  if (code != CURLE_OK) {
    answer.status = 0;
    answer.failure = reason[0] != '\0' ? reason : curl_easy_strerror(code);
    if (code == CURLE_WRITE_ERROR) answer.failure = "the answer is longer than anything that was asked for";
    answer.may_retry = !is_lasting(code);
    return answer;
  }
  curl_off_t wait_s = 0;
  curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait_s);
  answer.retry_after_s = std::max<int64_t>(0, static_cast<int64_t>(wait_s));
  return answer;
}

HttpAnswer HttpClient::send(const HttpRequest& request) {
  std::string url = request.url;
  std::map<std::string, std::string> about_the_file;  // the hub's own headers come with its redirects
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    HttpAnswer answer = perform(request, url);
    for (const char* name : {"x-repo-commit", "x-linked-etag", "x-linked-size", "etag"}) {
      const std::string value = answer.header(name);
      if (!value.empty() && url_origin(url) == origin_) about_the_file.emplace(name, value);
    }
    answer.headers.insert(about_the_file.begin(), about_the_file.end());
    if (!is_redirect(answer.status)) return answer;
    const Url next(curl_url());
    const bool valid = next != nullptr && curl_url_set(next.get(), CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
                       curl_url_set(next.get(), CURLUPART_URL, answer.header("location").c_str(), 0) == CURLUE_OK;
    answer.location = valid ? url_text(next.get(), CURLUPART_URL, 0) : "";
    const std::string origin = url_origin(answer.location);
    const bool weaker = url.compare(0, 6, "https:") == 0 && origin.compare(0, 6, "https:") != 0;
    if (origin.empty() || weaker) {
      answer.status = 0;
      answer.may_retry = false;
      answer.failure = fmt::format("a redirect from {} to '{}', which is not followed", public_url(url),
                                   public_url(answer.header("location")));
      return answer;
    }
    if (request.redirects == FollowRedirects::kWithinHost && origin != url_origin(url)) return answer;
    url = answer.location;
  }
  HttpAnswer answer;
  answer.may_retry = false;
  answer.failure = fmt::format("more than {} redirects from {}", kMaxRedirects, public_url(request.url));
  return answer;
}

HttpAnswer HttpClient::send_patiently(const HttpRequest& request) {
  Patience patience(options_, cancel_);
  for (;;) {
    HttpAnswer answer = send(request);
    if (!Patience::is_passing(answer) || !patience.pause(answer)) return answer;
  }
}

bool Patience::is_passing(const HttpAnswer& answer) {
  if (answer.status == 0) return answer.may_retry;
  return answer.status == 408 || answer.status == 425 || answer.status == 429 || answer.status >= 500;
}

bool Patience::pause(const HttpAnswer& answer) {
  if (++n_failed_ >= options_.n_attempts || answer.retry_after_s > kMaxRetryAfterS) return false;
  int64_t wait_ms = std::min<int64_t>(kMaxBackoffMs, int64_t{options_.backoff_ms} << std::min(n_failed_ - 1, 20));
  // Many clients that a server turned away together should not come back together.
  static thread_local std::minstd_rand random(std::random_device{}());
  wait_ms += static_cast<int64_t>(random() % static_cast<uint64_t>(wait_ms / 2 + 1));
  wait_ms = std::max(wait_ms, answer.retry_after_s * 1000);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  while (std::chrono::steady_clock::now() < end) {
    if (cancel_.cancelled()) fail(ErrorCode::kCancelled, "the download was interrupted");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace csm
