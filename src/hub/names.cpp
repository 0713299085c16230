#include "hub/names.h"

#include <algorithm>
#include <numeric>

namespace csm {
namespace {

constexpr size_t kMaxNameBytes = 96;
constexpr size_t kMaxPathBytes = 512;
constexpr size_t kMaxPartBytes = 200;
constexpr size_t kMaxEtagBytes = 128;

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

bool is_name_character(char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; }

// Owner or name. "--" separates the two in the cache, so it may be in neither.
bool is_name_part(std::string_view part) {
  return !part.empty() && part.size() <= kMaxNameBytes && std::all_of(part.begin(), part.end(), is_name_character) &&
         part.front() != '.' && part.front() != '-' && part.back() != '.' && part.back() != '-' &&
         part.find("--") == std::string_view::npos && part.find("..") == std::string_view::npos;
}

// No part may be empty, "." or "..", or hold what a file system or a terminal takes for something else.
bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPathBytes) return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > kMaxPartBytes) return false;
    begin = end + 1;
  }
  return std::none_of(path.begin(), path.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '\\'; });
}

bool is_hex(std::string_view text, size_t n_digits) {
  return text.size() == n_digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string percent_encoded(std::string_view text, std::string_view kept) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string url;
  for (const char c : text) {
    if (is_name_character(c) || c == '~' || kept.find(c) != std::string_view::npos) {
      url += c;
    } else {
      url += '%';
      url += kDigits[static_cast<unsigned char>(c) >> 4];
      url += kDigits[static_cast<unsigned char>(c) & 15];
    }
  }
  return url;
}

// Levenshtein distance.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

const std::vector<KnownModel>& known_models() {
  static const std::vector<KnownModel> models = {
      {"csm-1b", "sesame/csm-1b", "Sesame CSM-1B (gated: accept its terms first)"},
      {"csm-1b-gguf", "ggml-org/sesame-csm-1b-GGUF", "CSM-1B as three GGUF files"},
      {"csm-1b-mlx", "mlx-community/csm-1b", "CSM-1B in the layout of MLX"},
      {"csm-1b-unsloth", "unsloth/csm-1b", "CSM-1B, a copy without a gate"},
      {"mimi", "kyutai/mimi", "the codec alone"},
      {"silentcipher", "sony/silentcipher", "weights of the watermark that the reference CSM uses"},
  };
  return models;
}

const std::vector<Companion>& tokenizer_companions() {
  static const std::vector<Companion> companions = {{"sesame/csm-1b", "tokenizer.json"},
                                                    {"unsloth/csm-1b", "tokenizer.json"},
                                                    {"sesame/csm-1b", "tokenizer.model"},
                                                    {"unsloth/csm-1b", "tokenizer.model"},
                                                    {"meta-llama/Llama-3.2-1B", "original/tokenizer.model"}};
  return companions;
}

const std::vector<Companion>& codec_companions() {
  static const std::vector<Companion> companions = {
      {"kyutai/moshiko-pytorch-bf16", "tokenizer-e351c8d8-checkpoint125.safetensors"}};
  return companions;
}

bool is_repo_name(std::string_view text) {
  const size_t slash = text.find('/');
  return slash != std::string_view::npos && text.size() <= kMaxNameBytes && is_name_part(text.substr(0, slash)) &&
         is_name_part(text.substr(slash + 1));
}

bool is_revision(std::string_view text) {
  return is_safe_path(text) && text.size() <= kMaxPartBytes && text.front() != '-' && text.front() != '.' &&
         text.find_first_of(" ~^:?*[@") == std::string_view::npos && text.find("/.") == std::string_view::npos;
}

bool is_commit(std::string_view text) { return is_hex(text, 40); }

bool is_sha256(std::string_view text) { return is_hex(text, 64); }

bool is_repo_file(std::string_view text) { return is_safe_path(text); }

bool is_etag(std::string_view text) {
  return !text.empty() && text.size() <= kMaxEtagBytes && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), is_name_character);
}

std::string plain_etag(std::string_view header) {
  if (header.substr(0, 2) == "W/") header.remove_prefix(2);
  if (header.size() >= 2 && header.front() == '"' && header.back() == '"') header = header.substr(1, header.size() - 2);
  return std::string(header);
}

std::string url_path(std::string_view path) { return percent_encoded(path, "/"); }

std::string url_part(std::string_view part) { return percent_encoded(part, ""); }

std::string did_you_mean(const std::string& typed, const std::vector<std::string>& candidates) {
  size_t best_distance = std::max<size_t>(3, typed.size() / 3 + 1);
  std::string best;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kMaxPathBytes) continue;
    const size_t distance = edit_distance(typed, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best.empty() ? "" : "; did you mean '" + best + "'?";
}

std::string revision_of(const HubName& name) { return name.revision.empty() ? "main" : name.revision; }

std::string HubName::text() const {
  return repo + (file.empty() ? "" : "/" + file) + (revision.empty() ? "" : "@" + revision);
}

std::optional<HubName> parse_hub_name(const std::string& text) {
  HubName name;
  const size_t at = text.find('@');
  const std::string path = text.substr(0, at);
  if (at != std::string::npos) {
    name.revision = text.substr(at + 1);
    if (!is_revision(name.revision)) return std::nullopt;
  }
  for (const KnownModel& known : known_models()) {
    if (path == known.short_name) {
      name.repo = known.repo;
      return name;
    }
  }
  const size_t first = path.find('/');
  const size_t second = first == std::string::npos ? first : path.find('/', first + 1);
  name.repo = path.substr(0, second);
  if (!is_repo_name(name.repo)) return std::nullopt;
  if (second != std::string::npos) {
    name.file = path.substr(second + 1);
    if (!is_repo_file(name.file)) return std::nullopt;
  }
  return name;
}

}  // namespace csm
