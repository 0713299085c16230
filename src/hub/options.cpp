// HubOptions: what the environment says, as huggingface_hub reads it.
#include <csm/hub.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "base/fail.h"
#include "io/file.h"

namespace csm {
namespace {

constexpr uint64_t kMaxTokenBytes = 1 << 16;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string first_of(std::initializer_list<const char*> names, const std::string& otherwise) {
  for (const char* name : names) {
    const std::string value = variable(name);
    if (!value.empty()) return value;
  }
  return otherwise;
}

bool is_true(std::string value) {
  std::transform(value.begin(), value.end(), value.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

std::string home() { return first_of({"HOME"}, "."); }

// "~/x" as a shell would have it.
std::string expanded(const std::string& path) {
  return path == "~" || path.compare(0, 2, "~/") == 0 ? home() + path.substr(1) : path;
}

std::string trimmed(std::string text) {
  constexpr std::string_view kSpace = " \t\r\n";
  text.erase(0, text.find_first_not_of(kSpace));
  text.erase(text.find_last_not_of(kSpace) + 1);
  return text;
}

int seconds(const char* name, int otherwise) {
  const std::string value = variable(name);
  if (value.empty()) return otherwise;
  const bool digits = value.size() <= 5 && value.find_first_not_of("0123456789") == std::string::npos;
  const int number = digits ? std::atoi(value.c_str()) : 0;
  if (number < 1) {
    fail(ErrorCode::kInvalidArgument, "{} is '{}'; expected whole seconds from 1 to 99999", name, value);
  }
  return number;
}

std::string find_token(const std::string& token_path) {
  if (is_true(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return "";
  const std::string token = trimmed(first_of({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}, ""));
  std::error_code error;
  if (!token.empty() || !std::filesystem::is_regular_file(token_path, error)) return token;
  return trimmed(read_text_file(token_path, kMaxTokenBytes));
}

void check_range(const char* name, int value, int min, int max) {
  if (value >= min && value <= max) return;
  fail(ErrorCode::kInvalidArgument, "hub option {} is {}; expected {} to {}", name, value, min, max);
}

}  // namespace

void HubOptions::validate() const {
  if (cache_directory.empty())
    fail(ErrorCode::kInvalidArgument, "the hub's cache directory has no name; set HF_HUB_CACHE");
  const bool is_url = endpoint.compare(0, 8, "https://") == 0 || endpoint.compare(0, 7, "http://") == 0;
  const bool plain = std::none_of(endpoint.begin(), endpoint.end(), [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F || c == '@' || c == '?' || c == '#';
  });
  if (!is_url || !plain) {
    fail(ErrorCode::kInvalidArgument, "HF_ENDPOINT is '{}'; expected a URL like https://huggingface.co", endpoint);
  }
  // A line break in a header would begin another header.
  if (std::any_of(token.begin(), token.end(),
                  [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F; })) {
    fail(ErrorCode::kInvalidArgument,
         "the token for the hub holds spaces or control characters; check HF_TOKEN and '{}'", token_path);
  }
  check_range("n_parallel", n_parallel, 1, 16);
  check_range("n_attempts", n_attempts, 1, 100);
  check_range("backoff_ms", backoff_ms, 0, 60'000);
  check_range("answer_timeout_s", answer_timeout_s, 1, 99'999);
  check_range("stall_timeout_s", stall_timeout_s, 1, 99'999);
}

HubOptions HubOptions::from_environment() {
  HubOptions options;
  const std::string caches = expanded(first_of({"XDG_CACHE_HOME"}, home() + "/.cache"));
  const std::string hf_home = expanded(first_of({"HF_HOME"}, caches + "/huggingface"));
  options.cache_directory = expanded(first_of({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}, hf_home + "/hub"));
  options.view_directory = caches + "/csm/models";
  options.endpoint = first_of({"HF_ENDPOINT"}, options.endpoint);
  while (!options.endpoint.empty() && options.endpoint.back() == '/') options.endpoint.pop_back();
  options.token_path = expanded(first_of({"HF_TOKEN_PATH"}, hf_home + "/token"));
  options.token = find_token(options.token_path);
  options.offline = is_true(first_of({"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}, ""));
  options.answer_timeout_s = seconds("HF_HUB_ETAG_TIMEOUT", options.answer_timeout_s);
  options.stall_timeout_s = seconds("HF_HUB_DOWNLOAD_TIMEOUT", options.stall_timeout_s);
  options.validate();
  return options;
}

}  // namespace csm
