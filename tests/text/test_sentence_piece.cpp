// SentencePiece models: ids as the sentencepiece package and tokenizers give them, hostile files, invalid text.
#include "text/sentence_piece.h"

#include <cmath>
#include <limits>

#include "io/file.h"
#include "text/character_map.h"
#include "text/sentence_piece_file.h"
#include "text_test.h"

namespace csm {
namespace {

using Ids = std::vector<int32_t>;

const std::string kFolder = kTests + "/text/sentencepiece/";

std::string model_bytes(const std::string& name) { return read_text_file(kFolder + name + ".model", 1 << 20); }

SentencePieceModel model_named(const std::string& name) { return read_sentence_piece_model(model_bytes(name), name); }

// How a file that holds this model is refused.
void refuse(const SentencePieceModel& model, const std::string& part) {
  const std::string message =
      message_of(ErrorCode::kInvalidData, [&] { Tokenizer::parse_model(to_protobuf(model), "tokenizer.model"); });
  EXPECT_TRUE(contains(message, part)) << message << "\nlacks: " << part;
  EXPECT_EQ(message.rfind("'tokenizer.model'", 0), 0u) << message;
}

TEST(SentencePiece, IdsOfThePackageAndOfTheJsonForm) {
  const auto document = read_json(kFolder + "vectors.json");
  ASSERT_EQ(document.at("models").size(), 4u);
  size_t n_marked = 0;
  for (const auto& model : document.at("models")) {
    const auto name = model.at("name").get<std::string>();
    const auto tokenizer = Tokenizer::load(kFolder + name + ".model");
    const auto check = [&](const nlohmann::json& texts, const nlohmann::json& expected) {
      for (size_t i = 0; i < texts.size(); ++i) {
        const auto text = texts[i].get<std::string>();
        EXPECT_EQ(tokenizer->encode(text), expected[i].get<Ids>()) << name << ": " << texts[i];
      }
    };
    check(model.at("texts"), model.at("sentencepiece"));
    if (!model.contains("marked")) continue;
    check(model.at("marked"), model.at("json"));
    n_marked += model.at("marked").size();
  }
  EXPECT_GE(n_marked, 90u);
}

TEST(SentencePiece, NamesIdsAndTheMarkersOfAPrompt) {
  const auto tokenizer = Tokenizer::load(kFolder + "unigram.model");
  EXPECT_EQ(tokenizer->n_ids(), 480);
  EXPECT_EQ(tokenizer->bos_id(), tokenizer->id_of("<s>"));
  EXPECT_EQ(tokenizer->eos_id(), tokenizer->id_of("</s>"));
  EXPECT_EQ(tokenizer->printable(tokenizer->id_of("<sep>")), "<sep>");
  EXPECT_EQ(tokenizer->id_of("no such piece"), -1);
  EXPECT_EQ(tokenizer->printable(-1), "");
  EXPECT_EQ(tokenizer->printable(480), "");
  Ids expected = {tokenizer->bos_id()};
  const Ids ids = tokenizer->encode("[0]Hello");
  expected.insert(expected.end(), ids.begin(), ids.end());
  expected.push_back(tokenizer->eos_id());
  EXPECT_EQ(tokenizer->encode_with_special_tokens("[0]Hello"), expected);
}

TEST(SentencePiece, AModelWithoutMarkersNamesNone) {
  SentencePieceModel model = model_named("bpe");
  for (SentencePiece& piece : model.pieces) {
    if (piece.type == PieceType::kControl) piece.type = PieceType::kUnused;
  }
  const auto tokenizer = Tokenizer::parse_model(to_protobuf(model), "tokenizer.model");
  EXPECT_EQ(tokenizer->bos_id(), -1);
  EXPECT_EQ(tokenizer->eos_id(), -1);
  EXPECT_EQ(tokenizer->encode_with_special_tokens("speech"), tokenizer->encode("speech"));
}

TEST(SentencePiece, InvalidUtf8SaysWhere) {
  const auto tokenizer = Tokenizer::load(kFolder + "bpe.model");
  const std::string message = message_of(ErrorCode::kInvalidArgument, [&] { tokenizer->encode("ok \xFF"); });
  EXPECT_TRUE(contains(message, "not valid UTF-8 at byte 3 (0xFF)")) << message;
  const std::string large(size_t{1 << 20} + 1, 'a');
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidArgument, [&] { tokenizer->encode(large); }), "in parts"));
}

TEST(SentencePiece, LongTextsAreQuick) {
  const auto tokenizer = Tokenizer::load(kFolder + "unigram.model");
  for (const std::string part : {"a", " ", "\xEF\xAC\x81", "<s", "the "}) {
    std::string text = "a";
    while (text.size() < 50'000) text += part;
    EXPECT_LE(tokenizer->encode(text).size(), text.size() + 1);
  }
  EXPECT_GT(tokenizer->encode(std::string(50'000, '\0')).size(), 0u);
}

TEST(SentencePiece, PiecesAreChecked) {
  const SentencePieceModel good = model_named("unigram");
  const auto with = [&](auto change) {
    SentencePieceModel model = good;
    change(model);
    return model;
  };
  const float inf = std::numeric_limits<float>::infinity();
  for (const float score : {inf, -inf, std::nanf(""), 2e9F}) {
    refuse(with([&](auto& m) { m.pieces[400].score = score; }), "piece 400");
  }
  refuse(with([](auto& m) { m.pieces[400].text = m.pieces[401].text; }), "twice");
  refuse(with([](auto& m) { m.pieces[400].text = ""; }), "without a zero byte");
  refuse(with([](auto& m) { m.pieces[400].text = std::string("a\0b", 3); }), "without a zero byte");
  refuse(with([](auto& m) { m.pieces[400].text = "\xFF"; }), "UTF-8");
  refuse(with([](auto& m) { m.pieces[400].text = std::string(2000, 'a'); }), "too long");
  refuse(with([](auto& m) { m.pieces[400].type = PieceType::kUnknown; }), "one for unknown");
  refuse(with([](auto& m) { m.pieces[0].type = PieceType::kNormal; }), "one for unknown");
  refuse(with([](auto& m) { m.pieces[400].type = PieceType::kByte; }), "stands for a byte");
  refuse(with([](auto& m) { m.byte_fallback = false; }), "stands for a byte");
  refuse(with([](auto& m) { m.pieces[20].type = PieceType::kNormal; }), "256 for bytes");
  refuse(with([](auto& m) { m.pieces[400].type = static_cast<PieceType>(7); }), "type 7");
  refuse(with([](auto& m) { m.pieces.resize(1); }), "some for text");
  const SentencePieceModel other_kind = with([](auto& m) { m.model_type = 9; });
  message_of(ErrorCode::kUnsupported, [&] { Tokenizer::parse_model(to_protobuf(other_kind), "tokenizer.model"); });
}

TEST(SentencePiece, RulesAreFollowedBeforeTheLibraryDoes) {
  const SentencePieceModel good = model_named("unigram");
  ASSERT_GT(good.character_map.size(), 1028u);
  const auto with_map = [&](const std::string& map) {
    SentencePieceModel model = good;
    model.character_map = map;
    return model;
  };
  refuse(with_map("abc"), "whole blocks");
  refuse(with_map(good.character_map.substr(0, 1028)), "whole blocks");
  std::string size = good.character_map;
  size[3] = '\x7F';
  refuse(with_map(size), "whole blocks");
  std::string far = good.character_map;
  far[7] = '\x7F';  // the root's offset
  refuse(with_map(far), "outside the trie");
  std::string replaced = good.character_map;
  const size_t replacements = 4 + (static_cast<unsigned char>(replaced[1]) << 8);
  replaced.replace(replacements, std::string::npos, std::string(200, 'x'));
  refuse(with_map(replaced), "replacement");
  // Whatever one changed byte does: an error, or a map that encodes.
  const std::string text = "\xEF\xAC\x81sh \xE2\x80\xA6 e\xCC\x81 a";
  for (size_t i = 0; i < good.character_map.size(); i += 3) {
    std::string changed = good.character_map;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
    try {
      check_character_map(changed, "t");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidData);
      continue;
    }
    if (i % 32 == 0) EXPECT_GT(Tokenizer::parse_model(to_protobuf(with_map(changed)), "t")->encode(text).size(), 0u);
  }
}

// One unit leads to the next on the byte 'a', and the last one back to the first.
TEST(SentencePiece, RulesInACircleOrTooDeep) {
  const auto chain = [](uint32_t n_units, bool closes) {
    std::string map = empty_character_map();
    uint32_t n_bytes = 256 * 256 * 4;
    map.resize(4 + n_bytes + 1, '\0');
    map.replace(0, 4, reinterpret_cast<const char*>(&n_bytes), 4);
    const auto put = [&](uint32_t position, uint32_t unit) { map.replace(4 + 4 * position, 4, reinterpret_cast<const char*>(&unit), 4); };
    for (uint32_t i = 0; i < n_bytes / 4; ++i) put(i, (i & 0xFFu) ^ 1u);  // no byte leads anywhere
    uint32_t position = 0;
    for (uint32_t i = 0; i < n_units; ++i) {
      const uint32_t base = closes && i + 1 == n_units ? 256 : 256 * (i + 1);
      put(position, (position ^ base) << 10 | (position == 0 ? 0 : 'a'));
      position = base ^ 'a';
    }
    return map;
  };
  EXPECT_NO_THROW(check_character_map(chain(30, false), "t"));
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidData, [&] { check_character_map(chain(40, false), "t"); }), "longer than 32"));
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidData, [&] { check_character_map(chain(5, true), "t"); }), "circle"));
}

TEST(SentencePiece, NoDamageIsFatal) {
  const std::string bytes = model_bytes("plain");
  for (size_t n = 0; n < bytes.size(); n += 7) {
    try {  // what was cut between two fields may be whole
      EXPECT_GT(Tokenizer::parse_model(bytes.substr(0, n), "t")->n_ids(), 3);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidData) << error.what();
    }
  }
  for (size_t i = 0; i < bytes.size(); i += 5) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(~changed[i]);
    try {
      (void)Tokenizer::parse_model(changed, "t")->encode("the speech </s> tokens");
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::kInvalidData || error.code() == ErrorCode::kUnsupported) << error.what();
    }
  }
  for (const std::string other : {"version https://git-lfs.github.com/spec/v1", "{\"model\": {}}", "\x0B\x0C", "\xFF\xFF\xFF\xFF"}) {
    EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidData, [&] { Tokenizer::parse_model(other, "t"); }), "no SentencePiece model"));
  }
}

}  // namespace
}  // namespace csm
