#include "text/tokenizer.h"

#include <algorithm>

#include "base/fail.h"
#include "io/file.h"
#include "text/sentence_piece.h"
#include "text/text_check.h"
#include "text/tiktoken_file.h"
#include "text/tokenizer_file.h"

namespace csm {
namespace {

constexpr uint64_t kMaxFileBytes = 256u << 20;
constexpr uint64_t kMaxModelBytes = 64u << 20;  // tokenizer.model; the largest known have 5 MB
constexpr size_t kMaxTextBytes = 16u << 20;  // far beyond any model's window; keeps positions within 32 bits

class ByteLevelTokenizer : public Tokenizer {
 public:
  explicit ByteLevelTokenizer(TokenizerParts parts) : parts_(std::move(parts)) {
    for (const auto& [id, token] : parts_.names) n_ids_ = std::max(n_ids_, id + 1);
  }

  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    append(text, ids);
    return ids;
  }

  std::vector<int32_t> encode_with_special_tokens(std::string_view text) const override {
    std::vector<int32_t> ids = parts_.prefix;
    append(text, ids);
    ids.insert(ids.end(), parts_.suffix.begin(), parts_.suffix.end());
    return ids;
  }

  int n_ids() const override { return n_ids_; }
  int32_t bos_id() const override { return id_of("<|begin_of_text|>"); }
  int32_t eos_id() const override { return id_of("<|end_of_text|>"); }

  int32_t id_of(std::string_view token) const override {
    const std::string key(token);
    const auto added = parts_.added_ids.find(key);
    if (added != parts_.added_ids.end()) return added->second;
    const auto known = parts_.pairs->vocabulary().find(key);
    return known == parts_.pairs->vocabulary().end() ? -1 : known->second;
  }

  std::string printable(int32_t id) const override {
    const auto found = parts_.names.find(id);
    return found == parts_.names.end() ? "" : std::string(found->second);
  }

 private:
  void append(std::string_view text, std::vector<int32_t>& ids) const {
    check_text(text, kMaxTextBytes);
    for (const TextPart& part : parts_.added.find(text)) {
      if (part.id >= 0) {
        ids.push_back(part.id);
      } else {
        append_plain(part.text, ids);
      }
    }
  }

  // Text without added tokens.
  void append_plain(std::string_view text, std::vector<int32_t>& ids) const {
    std::vector<std::string_view> pieces = {text};
    for (const auto& splitter : parts_.splitters) {
      std::vector<std::string_view> finer;
      for (const std::string_view piece : pieces) splitter->split(piece, finer);
      pieces = std::move(finer);
    }
    for (const std::string_view piece : pieces) parts_.pairs->encode(piece, ids);
  }

  const TokenizerParts parts_;
  int n_ids_ = 0;
};

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::parse_json(std::string_view json, const std::string& where) {
  return std::make_unique<ByteLevelTokenizer>(read_tokenizer_parts(json, where));
}

std::unique_ptr<Tokenizer> Tokenizer::parse_model(std::string_view bytes, const std::string& where, int n_rows) {
  if (is_tiktoken_file(bytes)) return std::make_unique<ByteLevelTokenizer>(read_tiktoken_parts(bytes, where, n_rows));
  return make_sentence_piece_tokenizer(bytes, where);
}

std::unique_ptr<Tokenizer> Tokenizer::load(const std::string& path, int n_rows) {
  const bool is_model = is_tokenizer_model(path);
  const std::string bytes = read_text_file(path, is_model ? kMaxModelBytes : kMaxFileBytes);
  return is_model ? parse_model(bytes, path, n_rows) : parse_json(bytes, path);
}

bool is_tokenizer_model(const std::string& path) {
  constexpr std::string_view kEnding = ".model";
  return path.size() >= kEnding.size() && path.compare(path.size() - kEnding.size(), kEnding.size(), kEnding) == 0;
}

}  // namespace csm
