// Cutting a text into the pieces that byte-pair merges never cross: the pre-tokeniser of a tokenizer.json.
//
// Place in the flow: text -> pieces -> byte-pair encoding. The patterns of Llama 3 and GPT-2 are matched by hand, in
// linear time and with the Unicode version that Hugging Face tokenizers has; any other pattern goes through PCRE2.
// Immutable after construction; split() may be called from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace csm {

class Splitter {
 public:
  virtual ~Splitter() = default;

  // Appends the pieces of text in order; together they are all of text, and none is empty. Text must be valid UTF-8;
  // the pieces point into it. Errors: kUnsupported when a pattern that is not built in gives up on this text.
  virtual void split(std::string_view text, std::vector<std::string_view>& pieces) const = 0;
};

// The splitter for a regular expression whose matches are kept apart ("Isolated").
// Errors: kUnsupported when the pattern does not compile, or means different things to PCRE2 and to Oniguruma, the
// library that tokenizer.json files are written for. `where` is the path for messages.
std::unique_ptr<Splitter> make_splitter(const std::string& pattern, const std::string& where);

// Llama 3's pattern.
std::unique_ptr<Splitter> make_llama3_splitter();

// The pattern that the ByteLevel pre-tokeniser applies by itself.
std::unique_ptr<Splitter> make_gpt2_splitter();

// The part of make_splitter that uses PCRE2, for every pattern.
std::unique_ptr<Splitter> make_regex_splitter(const std::string& pattern, const std::string& where);

}  // namespace csm
