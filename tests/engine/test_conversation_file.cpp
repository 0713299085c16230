// The file of a conversation: what is refused, with the field's name.
#include "engine/conversation_file.h"

#include <nlohmann/json.hpp>

#include "engine/base64.h"
#include "engine_test.h"

namespace csm::test {
namespace {

constexpr CodecShape kShape{2, 500, 24000, 1920};

ConversationTurn turn_of(std::vector<int32_t> ids) { return {3, "Hello.", Codes{std::move(ids), 2}, false, true}; }

nlohmann::json good() { return nlohmann::json::parse(write_conversation({turn_of({1, 499, 0, 256})}, kShape)); }

std::string refusal(ErrorCode code, const nlohmann::json& document) {
  return error_of(code, [&] { (void)parse_conversation(document.dump(), kShape, "a.json"); });
}

TEST(ConversationFile, RoundTrips) {
  const auto turns = parse_conversation(write_conversation({turn_of({1, 499, 0, 256}), turn_of({})}, kShape), kShape, "a");
  ASSERT_EQ(turns.size(), 2U);
  EXPECT_EQ(turns[0].codes.ids, (std::vector<int32_t>{1, 499, 0, 256}));
  EXPECT_EQ(turns[0].codes.n_codebooks, 2);
  EXPECT_EQ(turns[0].speaker, 3);
  EXPECT_TRUE(turns[0].generated);
  EXPECT_EQ(turns[1].codes.n_frames(), 0);
  EXPECT_TRUE(parse_conversation(write_conversation({}, kShape), kShape, "a").empty());
}

TEST(ConversationFile, RefusesWhatItIsNot) {
  for (const char* text : {"", "{", "[]", "3", "{}", R"({"format": 3})", R"({"format": "other"})", "\xFF"}) {
    const std::string message = error_of(ErrorCode::kInvalidData, [&] { (void)parse_conversation(text, kShape, "a.json"); });
    EXPECT_TRUE(contains(message, "a.json")) << message;
  }
  EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidData, [&] { (void)parse_conversation("[]", kShape, "a"); }), "--context"));
}

TEST(ConversationFile, NamesTheFieldThatIsWrong) {
  const auto changed = [](const char* pointer, nlohmann::json value) {
    nlohmann::json document = good();
    document[nlohmann::json::json_pointer(pointer)] = std::move(value);
    return document;
  };
  const auto bad = [&](const char* pointer, nlohmann::json value) {
    return refusal(ErrorCode::kInvalidData, changed(pointer, std::move(value)));
  };
  EXPECT_TRUE(contains(bad("/version", 2), "newer csm"));
  EXPECT_TRUE(contains(bad("/version", "1"), "version"));
  EXPECT_TRUE(contains(bad("/turns", 3), "turns must be a list"));
  EXPECT_TRUE(contains(bad("/turns/0", 3), "turns[0]"));
  EXPECT_TRUE(contains(bad("/turns/0/speaker", -1), "turns[0].speaker"));
  EXPECT_TRUE(contains(bad("/turns/0/speaker", 1.5), "turns[0].speaker"));
  EXPECT_TRUE(contains(bad("/turns/0/text", nullptr), "turns[0].text"));
  EXPECT_TRUE(contains(bad("/turns/0/pinned", "yes"), "turns[0].pinned"));
  EXPECT_TRUE(contains(bad("/turns/0/codes", "!!!!"), "turns[0].codes is not base64"));
  EXPECT_TRUE(contains(bad("/turns/0/codes", "AAA"), "not base64"));
  EXPECT_TRUE(contains(bad("/turns/0/codes", "AAAA"), "holds 3 bytes; expected 8"));
  EXPECT_TRUE(contains(bad("/turns/0/codes", nullptr), "turns[0].codes"));
  EXPECT_TRUE(contains(bad("/turns/0/codes", to_base64(std::string(8, '\xFF'))), "has the code 65535; this codec has 0 to 499"));
  EXPECT_TRUE(contains(bad("/turns/0/n_frames", 2'000'000'000), "holds 8 bytes; expected 8000000000"));
  EXPECT_TRUE(contains(bad("/turns/0/n_frames", nullptr), "n_frames = 0"));
  EXPECT_TRUE(contains(bad("/codec", nullptr), "codec"));
  const std::string other = refusal(ErrorCode::kUnsupported, changed("/codec/n_codebooks", 32));
  EXPECT_TRUE(contains(other, "codec.n_codebooks is 32, this model's is 2")) << other;
}

TEST(Base64, IsThatOfTheRfc) {
  const std::pair<const char*, const char*> pairs[] = {{"", ""},         {"f", "Zg=="},     {"fo", "Zm8="},        {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : pairs) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
  for (const char* text : {"Z", "Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9v", "Zm9v\n"}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
}

}  // namespace
}  // namespace csm::test
