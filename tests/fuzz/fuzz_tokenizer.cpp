// Any bytes given as a tokenizer.json end in a tokenizer that encodes, or in csm::Error; any bytes given as text to a
// small tokenizer end in ids that spell the text, or in csm::Error.
#include <csm/error.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/utf8.h"
#include "text/byte_pairs.h"
#include "text/tokenizer.h"

namespace {

using nlohmann::json;

constexpr const char* kPattern = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
                                 R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// The file of a tokenizer with every byte, a few merges and two added tokens.
std::string small_tokenizer() {
  json vocabulary = json::object();
  for (const std::string& character : csm::byte_characters()) vocabulary.emplace(character, vocabulary.size());
  json merges = json::array();
  for (const char* pair : {"t h", "th e", "a a", "aa aa", "\xC4\xA0 a"}) {
    const std::string text = pair;
    const size_t space = text.find(' ');
    vocabulary.emplace(text.substr(0, space) + text.substr(space + 1), vocabulary.size());
    merges.push_back(pair);
  }
  const json split = {
      {"type", "Split"}, {"pattern", {{"Regex", kPattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  const json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const size_t n = vocabulary.size();
  const json added =
      json::array({{{"id", n}, {"content", "<|x|>"}}, {{"id", n + 1}, {"content", "<|"}, {"normalized", true}}});
  return json{{"model", {{"type", "BPE"}, {"ignore_merges", true}, {"vocab", vocabulary}, {"merges", merges}}},
              {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", json::array({split, byte_level})}}},
              {"added_tokens", added}}
      .dump();
}

std::string spelled(const csm::Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  std::map<std::string, char> bytes;
  for (size_t byte = 0; byte < 256; ++byte) bytes[csm::byte_characters()[byte]] = static_cast<char>(byte);
  std::string text;
  for (const int32_t id : ids) {
    const std::string token = tokenizer.printable(id);
    for (size_t position = 0; position < token.size();) {
      const size_t start = position;
      csm::next_code_point(token, position);
      text += bytes.at(token.substr(start, position - start));
    }
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  static const auto small = csm::Tokenizer::parse_json(small_tokenizer(), "small");
  const std::string input(reinterpret_cast<const char*>(data), n_bytes);
  try {
    const auto tokenizer = csm::Tokenizer::parse_json(input, "input");
    for (const int32_t id : tokenizer->encode_with_special_tokens("It's  12345 \xC3\xA9\n<|x|> \xF0\x9F\x98\x80")) {
      if (id < 0 || id >= tokenizer->n_ids()) std::abort();
    }
  } catch (const csm::Error&) {
  }
  try {
    if (spelled(*small, small->encode(input)) != input) std::abort();
  } catch (const csm::Error& error) {
    if (error.code() != csm::ErrorCode::kInvalidArgument) std::abort();
  }
  return 0;
}
