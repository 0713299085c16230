#include "text/tokenizer.h"

#include <algorithm>

#include "base/fail.h"
#include "base/utf8.h"
#include "io/file.h"
#include "text/tokenizer_file.h"

namespace csm {
namespace {

constexpr uint64_t kMaxFileBytes = 256u << 20;
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
    if (text.size() > kMaxTextBytes) {
      fail(ErrorCode::kInvalidArgument, "the text has {} bytes; expected at most {}; give it in parts", text.size(),
           kMaxTextBytes);
    }
    const size_t invalid = first_invalid_utf8(text);
    if (invalid != std::string_view::npos) {
      fail(ErrorCode::kInvalidArgument, "the text is not valid UTF-8 at byte {} (0x{:02X}); convert it to UTF-8",
           invalid, static_cast<unsigned char>(text[invalid]));
    }
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

std::unique_ptr<Tokenizer> Tokenizer::load(const std::string& path) {
  return parse_json(read_text_file(path, kMaxFileBytes), path);
}

}  // namespace csm
