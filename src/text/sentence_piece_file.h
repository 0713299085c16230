// A SentencePiece model (protobuf, ModelProto of sentencepiece_model.proto), read by our own code and written again with only what
// encoding needs. So libsentencepiece sees nothing that was not checked here.
//
//   1 pieces (one after the other, the place is the id): 1 piece, 2 score, 3 type
//   2 trainer_spec: 3 model_type, 24 treat_whitespace_as_suffix, 35 byte_fallback, 45 unk_piece, 46 bos_piece, 47 eos_piece
//   3 normalizer_spec: 2 precompiled_charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5 escape_whitespaces
// Other fields are skipped: they train, decode or test.
//
// Place in the flow: tokenizer.model -> (here) -> SentencePiece tokenizer. Stateless; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace csm {

inline constexpr size_t kMaxPieces = size_t{1} << 20;

// The numbers are those of the file.
enum class PieceType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct SentencePiece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

struct SentencePieceModel {
  std::vector<SentencePiece> pieces;
  int model_type = 1;  // 1 unigram, 2 BPE, 3 words, 4 characters
  bool whitespace_as_suffix = false;
  bool byte_fallback = false;
  std::string bos_piece = "<s>";
  std::string eos_piece = "</s>";
  std::string unk_piece = "<unk>";
  std::string character_map;  // "": no rules
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

// Errors: kInvalidData for what is no such file, or damaged (field or piece, expected, found); kUnsupported for a kind of model that
// encodes no text. `where` is the path for messages.
SentencePieceModel read_sentence_piece_model(std::string_view bytes, const std::string& where);

// As a ModelProto.
std::string to_protobuf(const SentencePieceModel& model);

}  // namespace csm
