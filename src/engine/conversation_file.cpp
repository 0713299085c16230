#include "engine/conversation_file.h"

#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "engine/base64.h"
#include "io/json.h"

namespace csm {
namespace {

constexpr const char* kFormat = "csm-conversation";
constexpr int kVersion = 1;
constexpr int kMaxCodebooks = 1 << 10;
constexpr int kMaxCodebookSize = 1 << 16;  // codes are stored in 16 bits
constexpr int kMaxInt = 0x7FFFFFFF;
constexpr size_t kCodeBytes = 2;

std::string encode_codes(const Codes& codes) {
  std::string bytes;
  bytes.reserve(codes.ids.size() * kCodeBytes);
  for (const int32_t id : codes.ids) {
    bytes += static_cast<char>(id & 0xFF);
    bytes += static_cast<char>(id >> 8 & 0xFF);
  }
  return to_base64(bytes);
}

class TurnParser {
 public:
  TurnParser(const nlohmann::json& value, const CodecShape& shape, const std::string& where, size_t index)
      : object_(value, where, fmt::format("turns[{}]", index)), shape_(shape) {}

  ConversationTurn parse() const {
    ConversationTurn turn;
    turn.speaker = object_.integer("speaker", 0, kMaxInt);
    turn.text = object_.text("text");
    turn.pinned = object_.boolean_or("pinned", false);
    turn.generated = object_.boolean_or("generated", false);
    const int n_frames = object_.integer_or("n_frames", 1, kMaxInt, 0);
    if (!object_.has("codes") && n_frames == 0) return turn;
    turn.codes = parse_codes(object_.text("codes"), n_frames);
    return turn;
  }

 private:
  Codes parse_codes(const std::string& text, int n_frames) const {
    const std::optional<std::string> bytes = from_base64(text);
    if (!bytes) bad("is not base64");
    const uint64_t wanted = static_cast<uint64_t>(n_frames) * static_cast<uint64_t>(shape_.n_codebooks) * kCodeBytes;
    if (n_frames == 0 || bytes->size() != wanted) {
      bad(fmt::format("holds {} bytes; expected {} for n_frames = {} of {} codes", bytes->size(), wanted, n_frames,
                      shape_.n_codebooks));
    }
    Codes codes;
    codes.n_codebooks = shape_.n_codebooks;
    codes.ids.reserve(bytes->size() / kCodeBytes);
    for (size_t i = 0; i < bytes->size(); i += kCodeBytes) {
      const int id = static_cast<unsigned char>((*bytes)[i]) | static_cast<unsigned char>((*bytes)[i + 1]) << 8;
      if (id >= shape_.codebook_size) {
        bad(fmt::format("has the code {}; this codec has 0 to {}", id, shape_.codebook_size - 1));
      }
      codes.ids.push_back(id);
    }
    return codes;
  }

  [[noreturn]] void bad(const std::string& what) const {
    fail(ErrorCode::kInvalidData, "'{}': {} {}", object_.where(), object_.path_of("codes"), what);
  }

  JsonObject object_;
  const CodecShape& shape_;
};

void check_codec(const JsonObject& codec, const CodecShape& shape) {
  const auto check = [&](const char* key, int ours, int max) {
    const int found = codec.integer(key, 1, max);
    if (found == ours) return;
    fail(ErrorCode::kUnsupported,
         "'{}' was made with another codec ({} is {}, this model's is {}), so its codes mean other sounds; open it with "
         "the model that made it",
         codec.where(), codec.path_of(key), found, ours);
  };
  check("n_codebooks", shape.n_codebooks, kMaxCodebooks);
  check("codebook_size", shape.codebook_size, kMaxCodebookSize);
  check("sample_rate_hz", shape.sample_rate_hz, kMaxInt);
  check("frame_samples", shape.frame_samples, kMaxInt);
}

}  // namespace

std::string write_conversation(const std::vector<ConversationTurn>& turns, const CodecShape& shape) {
  if (shape.codebook_size > kMaxCodebookSize) {
    fail(ErrorCode::kUnsupported, "a conversation file holds codes below {}; this codec has {}", kMaxCodebookSize,
         shape.codebook_size);
  }
  nlohmann::ordered_json document;
  document["format"] = kFormat;
  document["version"] = kVersion;
  document["codec"] = {{"n_codebooks", shape.n_codebooks},
                       {"codebook_size", shape.codebook_size},
                       {"sample_rate_hz", shape.sample_rate_hz},
                       {"frame_samples", shape.frame_samples}};
  document["turns"] = nlohmann::ordered_json::array();
  for (const ConversationTurn& turn : turns) {
    nlohmann::ordered_json entry = {
        {"speaker", turn.speaker}, {"text", turn.text}, {"pinned", turn.pinned}, {"generated", turn.generated}};
    if (turn.codes.n_frames() > 0) {
      entry["n_frames"] = turn.codes.n_frames();
      entry["codes"] = encode_codes(turn.codes);
    }
    document["turns"].push_back(std::move(entry));
  }
  return document.dump(1) + "\n";
}

std::vector<ConversationTurn> parse_conversation(std::string_view text, const CodecShape& shape,
                                                 const std::string& where) {
  const nlohmann::json document = parse_json(text, where);
  if (!document.is_object() || !document.contains("format") || document.at("format") != kFormat) {
    fail(ErrorCode::kInvalidData,
         "'{}' is no saved conversation: expected an object with \"format\": \"{}\" (a plain list of turns is read by "
         "--context)",
         where, kFormat);
  }
  const JsonObject object(document, where);
  const int version = object.integer("version", 1, kMaxInt);
  if (version > kVersion) {
    fail(ErrorCode::kInvalidData, "'{}' has version {} of the format, this program knows up to {}; use a newer csm",
         where, version, kVersion);
  }
  check_codec(object.object("codec"), shape);
  if (!document.contains("turns") || !document.at("turns").is_array()) {
    fail(ErrorCode::kInvalidData, "'{}': turns must be a list", where);
  }
  std::vector<ConversationTurn> turns;
  for (const nlohmann::json& value : document.at("turns")) {
    turns.push_back(TurnParser(value, shape, where, turns.size()).parse());
  }
  return turns;
}

}  // namespace csm
