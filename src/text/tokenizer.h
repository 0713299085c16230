// Text -> token ids: byte-level BPE as Hugging Face `tokenizers` reads it from tokenizer.json (Llama-3 split pattern,
// merges by rank, ignore_merges, special tokens recognised in the text), or a tokenizer.model: Llama 3's own file (the same
// tokenizer in another form), or a SentencePiece model.
//
// Place in the flow: text -> tokens -> prompt. Immutable after load; encode() may be called from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace csm {

inline constexpr int kMaxTokenId = (1 << 24) - 1;

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Parses a tokenizer.json. `where` is the path for messages. Errors: kInvalidData, kUnsupported (not byte-level BPE).
  static std::unique_ptr<Tokenizer> parse_json(std::string_view json, const std::string& where);
  // Parses a tokenizer.model; which kind it is, its bytes say. n_rows: of the text table, which decides how many of Llama 3's special
  // tokens there are. Errors: kInvalidData, kUnsupported.
  static std::unique_ptr<Tokenizer> parse_model(std::string_view bytes, const std::string& where, int n_rows = kMaxTokenId + 1);
  // A file named *.model is of the second kind. Errors: those of both, kNotFound, kIo.
  static std::unique_ptr<Tokenizer> load(const std::string& path, int n_rows = kMaxTokenId + 1);

  // Ids without BOS / EOS. Errors: kInvalidArgument when text is not valid UTF-8 (says at which byte).
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  // What the post-processor adds around a text (BOS, EOS): encode + these is what `tokenizers` calls
  // add_special_tokens.
  virtual std::vector<int32_t> encode_with_special_tokens(std::string_view text) const = 0;
  virtual int n_ids() const = 0;                            // highest id + 1
  virtual int32_t bos_id() const = 0;                       // opens every text of a prompt; -1: the tokenizer names none
  virtual int32_t eos_id() const = 0;                       // closes it
  virtual int32_t id_of(std::string_view token) const = 0;  // -1 when there is none; special tokens included
  virtual std::string printable(int32_t id) const = 0;      // the token as in the file; "" for an unused id
};

// Whether a file's name is that of a tokenizer.model rather than of a tokenizer.json.
bool is_tokenizer_model(const std::string& path);

}  // namespace csm
