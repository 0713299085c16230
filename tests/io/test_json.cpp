// The JSON edge: what is refused, where the message points, and the typed getters.
#include <gtest/gtest.h>

#include <string>

#include <csm/error.h>
#include "io/json.h"

namespace csm {
namespace {

// The message of the kInvalidData error that action must throw.
template <typename Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidData) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

std::string parse_message(const std::string& text) {
  return message_of([&] { parse_json(text, "x.json"); });
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Json, ParsesDocumentsUpToTheDepthLimit) {
  EXPECT_EQ(parse_json(" {\"a\": [1, 2.5, \"\\u00e9\\\"{\"]} ", "x").at("a").size(), 3u);
  const std::string deepest = std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']');
  EXPECT_TRUE(parse_json(deepest, "x").is_array());
  EXPECT_TRUE(contains(parse_message("[" + deepest + "]"), "nested deeper than 64 levels at 1:65"));
  EXPECT_TRUE(parse_json("[\"" + std::string(100, '[') + "\"]", "x").is_array()) << "brackets in strings do not nest";
}

TEST(Json, SaysWhereAndWhy) {
  EXPECT_TRUE(contains(parse_message(""), "'x.json' is not valid JSON: it is empty"));
  EXPECT_TRUE(contains(parse_message(" \n\t"), "it is empty"));
  EXPECT_TRUE(contains(parse_message("{}\n  x"), "2:3"));
  EXPECT_TRUE(contains(parse_message("{\"a\": 1,}"), "1:9"));
  EXPECT_TRUE(contains(parse_message("{\"a\": \"b"), "missing closing quote"));
  EXPECT_TRUE(contains(parse_message(std::string("{\0}", 3)), "NUL byte at 1:2"));
  EXPECT_TRUE(contains(parse_message("{\"a\": 1e99999}"), "overflow"));
  EXPECT_TRUE(contains(parse_message("{\"a\": {\"b\": 1, \"c\": 2, \"b\": 3}}"), "key \"b\" occurs twice"));
  EXPECT_LT(parse_message("\"" + std::string(1 << 20, 'a')).size(), 300u) << "messages stay short";
}

TEST(Json, RejectsInvalidUtf8) {
  for (const char* bytes : {"\xFF", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3", "\x80", "\xE2\x82"}) {
    EXPECT_TRUE(contains(parse_message(std::string("[\"") + bytes + "\"]"), "invalid UTF-8 at 1:3"));
  }
  EXPECT_EQ(parse_json("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"", "x").get<std::string>().size(), 9u);
}

class JsonFields : public ::testing::Test {
 protected:
  nlohmann::json document_ = parse_json(
      R"({"a": {"n": 5, "f": 1.5, "whole": 2.0, "b": true, "s": "text", "none": null, "big": 9223372036854775808,
          "huge": 1234567890123456789012345678901234567890, "neg": -1, "list": [1, 2], "empty": [], "mixed": [1, "2"]}})",
      "x.json");
  JsonObject a_ = JsonObject(document_, "x.json").object("a");

  std::string integer_message(const char* key) const {
    return message_of([&] { a_.integer(key, 1, 10); });
  }
};

TEST_F(JsonFields, Integers) {
  EXPECT_EQ(a_.integer("n", 5, 5), 5);
  EXPECT_EQ(a_.integer_or("none", 0, 9, 7), 7);
  EXPECT_EQ(a_.integer("neg", -1, 0), -1);
  EXPECT_EQ(integer_message("f"), "'x.json': field 'a.f' must be an integer in 1..10; found 1.5 (a number)");
  EXPECT_EQ(integer_message("huge"),
            "'x.json': field 'a.huge' is out of range: expected an integer in 1..10, found 1.2345678901234568e+39");
  EXPECT_TRUE(contains(integer_message("whole"), "must be an integer"));
  EXPECT_TRUE(contains(integer_message("b"), "found true (a boolean)"));
  EXPECT_TRUE(contains(integer_message("s"), "found \"text\" (a string)"));
  EXPECT_TRUE(contains(integer_message("big"), "out of range"));
  EXPECT_TRUE(contains(integer_message("neg"), "out of range"));
  EXPECT_EQ(integer_message("none"), "'x.json': field 'a.none' is missing; expected an integer in 1..10");
  EXPECT_EQ(a_.integers("list", 1, 2, 2), (std::vector<int>{1, 2}));
  EXPECT_TRUE(contains(message_of([&] { a_.integers("list", 1, 2, 1); }), "an array of 1..1 integers"));
  EXPECT_TRUE(contains(message_of([&] { a_.integers("empty", 1, 2, 9); }), "found an array of 0"));
  EXPECT_TRUE(contains(message_of([&] { a_.integers("mixed", 1, 2, 9); }), "a.mixed[1]"));
}

TEST_F(JsonFields, OtherTypes) {
  EXPECT_EQ(a_.number("f", 0, 2), 1.5);
  EXPECT_EQ(a_.number("n", 0, 9), 5.0);
  EXPECT_EQ(a_.number_or("absent", 0, 9, 3.0), 3.0);
  EXPECT_TRUE(a_.boolean_or("b", false));
  EXPECT_TRUE(a_.boolean_or("absent", true));
  EXPECT_EQ(a_.text("s"), "text");
  EXPECT_EQ(a_.text_or("none", "other"), "other");
  EXPECT_TRUE(contains(message_of([&] { a_.number("s", 0, 1); }), "'a.s' must be a number"));
  EXPECT_TRUE(contains(message_of([&] { a_.number("f", 2, 3); }), "'a.f' is out of range"));
  EXPECT_TRUE(contains(message_of([&] { a_.boolean_or("n", false); }), "must be true or false"));
  EXPECT_TRUE(contains(message_of([&] { a_.text("n"); }), "must be a string"));
  EXPECT_TRUE(contains(message_of([&] { a_.object("n"); }), "'a.n' must be an object"));
  EXPECT_TRUE(contains(message_of([&] { JsonObject(document_["a"]["list"], "y.json"); }), "must hold a JSON object; found an array"));
}

}  // namespace
}  // namespace csm
