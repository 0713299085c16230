#include "text/sentence_piece_file.h"

#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <unordered_set>

#include "base/fail.h"
#include "base/utf8.h"
#include "io/json.h"
#include "text/character_map.h"

namespace csm {
namespace {

constexpr size_t kMaxPieceBytes = 1024;
constexpr size_t kMaxCharacterMapBytes = size_t{16} << 20;
constexpr float kMaxScore = 1e9F;  // sums of scores stay finite over any text

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  uint32_t number = 0;
  uint32_t wire_type = 0;
  uint64_t value = 0;      // of a varint or a fixed number
  std::string_view bytes;  // of kBytes
};

// The fields of one message, one after the other.
class Message {
 public:
  Message(std::string_view bytes, const std::string& where, const char* name) : rest_(bytes), where_(where), name_(name) {}

  bool next(Field& field) {
    if (rest_.empty()) return false;
    const uint64_t tag = varint();
    field.number = static_cast<uint32_t>(tag >> 3);
    field.wire_type = static_cast<uint32_t>(tag & 7);
    if (tag >> 32 != 0 || field.number == 0) damaged("a field without a number");
    switch (field.wire_type) {
      case kVarint: field.value = varint(); break;
      case kFixed64: field.value = fixed(8); break;
      case kFixed32: field.value = fixed(4); break;
      case kBytes: field.bytes = take(varint()); break;
      default: damaged("a field of a kind that the format does not use");
    }
    return true;
  }

  std::string_view bytes(const Field& field, size_t max_bytes) const {
    if (field.wire_type != kBytes) damaged("a number where bytes belong");
    if (field.bytes.size() > max_bytes) damaged("a field that is too long");
    return field.bytes;
  }
  uint64_t number(const Field& field) const {
    if (field.wire_type != kVarint) damaged("something else where a whole number belongs");
    return field.value;
  }
  bool boolean(const Field& field) const { return number(field) != 0; }
  float real(const Field& field) const {
    if (field.wire_type != kFixed32) damaged("something else where a floating-point number belongs");
    const auto bits = static_cast<uint32_t>(field.value);
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  [[noreturn]] void damaged(const char* what) const {
    fail(ErrorCode::kInvalidData, "'{}' is no SentencePiece model, or damaged: {} has {}, {} bytes before its end", where_, name_, what,
         rest_.size());
  }

 private:
  std::string_view take(uint64_t n_bytes) {
    if (n_bytes > rest_.size()) damaged("a field that is longer than what is left");
    const std::string_view taken = rest_.substr(0, n_bytes);
    rest_.remove_prefix(n_bytes);
    return taken;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      if (shift == 63 && byte > 1) break;
      value |= static_cast<uint64_t>(byte & 0x7Fu) << shift;
      if (byte < 0x80) return value;
    }
    damaged("a number of more than 64 bits");
  }

  uint64_t fixed(size_t n_bytes) {
    uint64_t value = 0;
    std::memcpy(&value, take(n_bytes).data(), n_bytes);  // the machine is little-endian, as the GGUF reader asserts
    return value;
  }

  std::string_view rest_;
  const std::string& where_;
  const char* name_;
};

SentencePiece read_piece(std::string_view bytes, size_t id, const std::string& where) {
  Message message(bytes, where, "a piece");
  SentencePiece piece;
  for (Field field; message.next(field);) {
    if (field.number == 1) piece.text = message.bytes(field, kMaxPieceBytes);
    if (field.number == 2) piece.score = message.real(field);
    if (field.number == 3) {
      const uint64_t type = message.number(field);
      if (type < 1 || type > 6) fail(ErrorCode::kInvalidData, "'{}': piece {} has type {}; expected 1..6", where, id, type);
      piece.type = static_cast<PieceType>(type);
    }
  }
  const bool is_text = !piece.text.empty() && piece.text.find('\0') == std::string::npos && first_invalid_utf8(piece.text) == std::string::npos;
  if (!is_text) {
    fail(ErrorCode::kInvalidData, "'{}': piece {} is {}; expected 1..{} bytes of UTF-8 without a zero byte", where, id,
         brief(nlohmann::json(piece.text)), kMaxPieceBytes);
  }
  if (!std::isfinite(piece.score) || std::fabs(piece.score) > kMaxScore) {
    fail(ErrorCode::kInvalidData, "'{}': piece {} ({}) has score {}; expected a number within {}", where, id, brief(nlohmann::json(piece.text)),
         piece.score, kMaxScore);
  }
  return piece;
}

void read_trainer_spec(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  Message message(bytes, where, "trainer_spec");
  for (Field field; message.next(field);) {
    switch (field.number) {
      case 3:
        if (message.number(field) < 1 || message.number(field) > 4) {
          fail(ErrorCode::kUnsupported, "'{}': model_type is {}; expected 1 (unigram), 2 (BPE), 3 (words) or 4 (characters)", where, field.value);
        }
        model.model_type = static_cast<int>(field.value);
        break;
      case 24: model.whitespace_as_suffix = message.boolean(field); break;
      case 35: model.byte_fallback = message.boolean(field); break;
      case 45: model.unk_piece = message.bytes(field, kMaxPieceBytes); break;
      case 46: model.bos_piece = message.bytes(field, kMaxPieceBytes); break;
      case 47: model.eos_piece = message.bytes(field, kMaxPieceBytes); break;
      default: break;
    }
  }
}

void read_normalizer_spec(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  Message message(bytes, where, "normalizer_spec");
  for (Field field; message.next(field);) {
    switch (field.number) {
      case 2: model.character_map = message.bytes(field, kMaxCharacterMapBytes); break;
      case 3: model.add_dummy_prefix = message.boolean(field); break;
      case 4: model.remove_extra_whitespaces = message.boolean(field); break;
      case 5: model.escape_whitespaces = message.boolean(field); break;
      default: break;
    }
  }
}

// The byte that a piece <0x41> stands for; -1 when it is written otherwise.
int byte_of(const std::string& text) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (text.size() != 6 || text.compare(0, 3, "<0x") != 0 || text[5] != '>') return -1;
  const size_t high = kDigits.find(text[3]);
  const size_t low = kDigits.find(text[4]);
  return high == std::string_view::npos || low == std::string_view::npos ? -1 : static_cast<int>(16 * high + low);
}

// What libsentencepiece asks of the pieces together.
void check_pieces(const SentencePieceModel& model, const std::string& where) {
  std::unordered_set<std::string_view> texts;
  std::array<bool, 256> has_byte{};
  size_t n_bytes = 0, n_unknown = 0, n_encoding = 0;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePiece& piece = model.pieces[id];
    if (!texts.insert(piece.text).second) {
      fail(ErrorCode::kInvalidData, "'{}': piece {} ({}) is there twice; pieces must be unique", where, id, brief(nlohmann::json(piece.text)));
    }
    if (piece.type == PieceType::kUnknown) ++n_unknown;
    if (piece.type == PieceType::kNormal || piece.type == PieceType::kUserDefined || piece.type == PieceType::kUnused) ++n_encoding;
    if (piece.type != PieceType::kByte) continue;
    const int byte = byte_of(piece.text);
    if (byte < 0 || !model.byte_fallback) {
      fail(ErrorCode::kInvalidData, "'{}': piece {} ({}) stands for a byte; expected <0x00>..<0xFF> in a model with byte_fallback", where, id,
           brief(nlohmann::json(piece.text)));
    }
    has_byte[static_cast<size_t>(byte)] = true;
    ++n_bytes;
  }
  if (n_unknown != 1 || n_encoding == 0 || (model.byte_fallback && n_bytes != has_byte.size())) {
    fail(ErrorCode::kInvalidData,
         "'{}' has {} pieces, {} of them for unknown text and {} for bytes (byte_fallback is {}); expected some for text, one for unknown "
         "text, and with byte_fallback 256 for bytes",
         where, model.pieces.size(), n_unknown, n_bytes, model.byte_fallback ? "on" : "off");
  }
}

// Writing: tag and value of each field.
void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80u);
  out += static_cast<char>(value);
}

void put_number(std::string& out, uint32_t number, uint64_t value) {
  put_varint(out, uint64_t{number} << 3 | kVarint);
  put_varint(out, value);
}

void put_bytes(std::string& out, uint32_t number, std::string_view bytes) {
  put_varint(out, uint64_t{number} << 3 | kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

void put_real(std::string& out, uint32_t number, float value) {
  put_varint(out, uint64_t{number} << 3 | kFixed32);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

SentencePieceModel read_sentence_piece_model(std::string_view bytes, const std::string& where) {
  Message message(bytes, where, "the file");
  SentencePieceModel model;
  for (Field field; message.next(field);) {
    if (field.number < 1 || field.number > 3) continue;
    const std::string_view content = message.bytes(field, bytes.size());
    if (field.number == 1) {
      if (model.pieces.size() == kMaxPieces) fail(ErrorCode::kInvalidData, "'{}' has more than {} pieces", where, kMaxPieces);
      model.pieces.push_back(read_piece(content, model.pieces.size(), where));
    }
    if (field.number == 2) read_trainer_spec(content, where, model);
    if (field.number == 3) read_normalizer_spec(content, where, model);
  }
  check_pieces(model, where);
  if (!model.character_map.empty()) check_character_map(model.character_map, where);
  return model;
}

std::string to_protobuf(const SentencePieceModel& model) {
  std::string out;
  for (const SentencePiece& piece : model.pieces) {
    std::string content;
    put_bytes(content, 1, piece.text);
    put_real(content, 2, piece.score);
    put_number(content, 3, static_cast<uint64_t>(piece.type));
    put_bytes(out, 1, content);
  }
  std::string trainer;
  put_number(trainer, 3, static_cast<uint64_t>(model.model_type));
  put_number(trainer, 24, model.whitespace_as_suffix ? 1 : 0);
  put_number(trainer, 35, model.byte_fallback ? 1 : 0);
  put_bytes(trainer, 45, model.unk_piece);
  put_bytes(trainer, 46, model.bos_piece);
  put_bytes(trainer, 47, model.eos_piece);
  put_bytes(out, 2, trainer);
  std::string normalizer;
  put_bytes(normalizer, 2, model.character_map.empty() ? empty_character_map() : model.character_map);
  put_number(normalizer, 3, model.add_dummy_prefix ? 1 : 0);
  put_number(normalizer, 4, model.remove_extra_whitespaces ? 1 : 0);
  put_number(normalizer, 5, model.escape_whitespaces ? 1 : 0);
  put_bytes(out, 3, normalizer);
  return out;
}

}  // namespace csm
