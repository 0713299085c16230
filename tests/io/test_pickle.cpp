// Pickles as data: what they build is read, what they ask to run is refused by name, and no size of theirs is believed.
#include <gtest/gtest.h>

#include <csm/error.h>
#include "io/pickle.h"
#include "pytorch_files.h"

namespace csm {
namespace {

using namespace csm::test;

constexpr std::string_view kAllowed[] = {"collections.OrderedDict", "good.function"};

Pickle parse(const std::string& bytes) { return Pickle::parse(bytes_of(bytes), 0, kAllowed, "test"); }

std::string error_of(const std::string& bytes, ErrorCode code = ErrorCode::kInvalidData) {
  try {
    parse(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

PickleKind kind_of(const std::string& operations) { return parse(pickled(operations)).root().kind; }
int64_t integer_of(const std::string& operations) {
  const Pickle pickle = parse(pickled(operations));
  EXPECT_EQ(pickle.root().kind, PickleKind::kInt) << to_string(pickle.root().kind);
  return pickle.root().integer;
}

TEST(Pickle, Numbers) {
  EXPECT_EQ(kind_of("N"), PickleKind::kNone);
  EXPECT_EQ(parse(pickled("\x88")).root().integer, 1);
  EXPECT_EQ(parse(pickled("\x89")).root().integer, 0);
  EXPECT_EQ(kind_of("I01\n"), PickleKind::kBool);
  EXPECT_EQ(integer_of("J" + le(0xFFFFFFFE, 4)), -2);
  EXPECT_EQ(integer_of("K\xff"), 255);
  EXPECT_EQ(integer_of("M" + le(65535, 2)), 65535);
  EXPECT_EQ(integer_of("I-12\n"), -12);
  EXPECT_EQ(integer_of("L123L\n"), 123);
  EXPECT_EQ(integer_of(std::string("\x8a\x00", 2)), 0);
  EXPECT_EQ(integer_of("\x8a\x01\xff"), -1);
  EXPECT_EQ(integer_of("\x8b" + le(2, 4) + le(0x8000, 2)), -0x8000);
}

TEST(Pickle, LongNumbersStayBytes) {
  const std::string bytes = pickled("\x8a\x0a" + std::string(10, 'a'));
  const Pickle pickle = parse(bytes);
  EXPECT_EQ(pickle.root().kind, PickleKind::kBigInt);
  EXPECT_EQ(pickle.text(pickle.root()), std::string(10, 'a'));
  EXPECT_EQ(integer_of("\x8b" + le(8, 4) + le(~uint64_t{0} - 4, 8)), -5);
  const Pickle number = parse(pickled(std::string("G\x3f\xe0\0\0\0\0\0\0", 9)));
  EXPECT_EQ(number.root().kind, PickleKind::kFloat);
  EXPECT_EQ(number.root().number, 0.5);
  EXPECT_EQ(parse(pickled("F-2.5\n")).root().number, -2.5);
}

TEST(Pickle, TextsAndBytes) {
  for (const std::string& operation : {text_op("abc"), std::string("\x8c\x03""abc"), "\x8d" + le(3, 8) + "abc", std::string("Vabc\n"),
                                       std::string("S'abc'\n"), std::string("U\x03""abc"), "T" + le(3, 4) + "abc"}) {
    const std::string bytes = pickled(operation);
    const Pickle pickle = parse(bytes);
    EXPECT_EQ(pickle.root().kind, PickleKind::kText);
    EXPECT_EQ(pickle.text(pickle.root()), "abc");
  }
  for (const std::string& operation : {"B" + le(3, 4) + "abc", std::string("C\x03""abc"), "\x8e" + le(3, 8) + "abc", "\x96" + le(3, 8) + "abc"}) {
    EXPECT_EQ(kind_of(operation), PickleKind::kBytes);
  }
  EXPECT_NE(error_of(pickled("V\\u0041\n"), ErrorCode::kUnsupported).find("escapes"), std::string::npos);
  EXPECT_NE(error_of(pickled("Sabc\n")), "");
}

TEST(Pickle, Containers) {
  const std::string bytes = pickled("}(" + text_op("list") + "](K\x01K\x02""e" + text_op("tuple") + "K\x01K\x02K\x03\x87" + text_op("dict") +
                                    "(K\x01Nd" + text_op("none") + ")u");
  const Pickle pickle = parse(bytes);
  ASSERT_EQ(pickle.root().kind, PickleKind::kDict);
  EXPECT_EQ(pickle.items(*pickle.find(pickle.root(), "list")).size(), 2u);
  EXPECT_EQ(pickle.items(*pickle.find(pickle.root(), "tuple"))[2].integer, 3);
  EXPECT_EQ(pickle.find(pickle.root(), "dict")->kind, PickleKind::kDict);
  EXPECT_TRUE(pickle.items(*pickle.find(pickle.root(), "none")).empty());
  EXPECT_EQ(pickle.find(pickle.root(), "absent"), nullptr);
  EXPECT_EQ(pickle.end(), bytes.size());
}

TEST(Pickle, MemoryOfValues) {
  const std::string bytes = pickled(text_op("a") + "q\x07" + "0h\x07h\x07\x86");
  const Pickle pickle = parse(bytes);
  EXPECT_EQ(pickle.text(pickle.items(pickle.root())[1]), "a");
  EXPECT_EQ(kind_of("K\x01\x94K\x02\x94""00h\x01"), PickleKind::kInt);
  EXPECT_EQ(kind_of("K\x01r" + le(0xFFFFFFFF, 4) + "0j" + le(0xFFFFFFFF, 4)), PickleKind::kInt);  // a number, not an amount of memory
  EXPECT_NE(error_of(pickled("h\x01")), "");
}

TEST(Pickle, OrderedDicts) {
  const std::string made = global_op("collections", "OrderedDict") + ")R";
  const std::string filled = pickled(made + text_op("a") + "K\x05s");
  const Pickle pickle = parse(filled);
  ASSERT_EQ(pickle.root().kind, PickleKind::kDict);
  EXPECT_EQ(pickle.find(pickle.root(), "a")->integer, 5);
  EXPECT_EQ(kind_of(made + "}" + text_op("_metadata") + "NsbN0"), PickleKind::kDict);  // with attributes
  EXPECT_NE(error_of(pickled(global_op("collections", "OrderedDict") + "K\x01\x85R")), "");
  const std::string python2 = pickled(global_op("collections", "OrderedDict") + "](" + "](" + text_op("a") + "K\x06""e" + "e\x85R");
  const Pickle old = parse(python2);
  EXPECT_EQ(old.find(old.root(), "a")->integer, 6);
  // One list that is named again and again must not be copied without end.
  std::string bomb = "](";
  for (int i = 0; i < 3000; ++i) bomb += "K\x01K\x02\x86";
  bomb += "eq\x01""0" + global_op("collections", "OrderedDict") + "q\x02""0(";
  for (int i = 0; i < 3000; ++i) bomb += "h\x02h\x01\x85R";
  EXPECT_NE(error_of(pickled(bomb + "l"), ErrorCode::kResourceLimit), "");
}

TEST(Pickle, CallsStayData) {
  const std::string bytes = pickled(global_op("good", "function") + "K\x01\x85R");
  const Pickle pickle = parse(bytes);
  ASSERT_EQ(pickle.root().kind, PickleKind::kCall);
  EXPECT_EQ(pickle.text(pickle.items(pickle.root())[0]), "good.function");
  EXPECT_EQ(pickle.items(pickle.items(pickle.root())[1])[0].integer, 1);
  const std::string id = pickled(text_op("x") + "Q");
  const Pickle persistent = parse(id);
  EXPECT_EQ(persistent.root().kind, PickleKind::kPersistent);
  EXPECT_EQ(persistent.persistent().size(), 1u);
  EXPECT_EQ(kind_of("Px\n"), PickleKind::kPersistent);
}

// Each would run something in Python.
TEST(Pickle, MaliciousPicklesAreRefusedByNameAndPlace) {
  const std::string message = error_of(pickled("(" + global_op("os", "system") + text_op("id") + "\x85R"), ErrorCode::kUnsupported);
  EXPECT_NE(message.find("os.system"), std::string::npos) << message;
  EXPECT_NE(message.find("byte 3"), std::string::npos) << message;
  const std::string harmful[] = {
      global_op("builtins", "eval") + text_op("1") + "\x85R",
      global_op("posix", "system") + text_op("id") + "\x85R",
      text_op("os") + text_op("system") + "\x93",                                   // by STACK_GLOBAL
      "(" + text_op("id") + "ios\nsystem\n",                                        // INST
      "(" + global_op("good", "function") + text_op("id") + "o",                    // OBJ
      global_op("good", "function") + ")\x81",                                      // NEWOBJ
      global_op("good", "function") + ")}\x92",                                     // NEWOBJ_EX
      global_op("good", "function") + ")R}" + text_op("__setstate__") + "K\x01sb",  // BUILD
      "\x82\x01", "\x83" + le(1, 2), "\x84" + le(1, 4),                             // EXT
      global_op("good", "function") + ")R)R",                                       // a call of what a call gives
      global_op("good", "function") + "K\x01R",                                     // arguments that are none
      global_op("good\nfunction", "x"),
      global_op("", ""), global_op("good", "function.__globals__"),
      "\x95" + le(1000, 8),
  };
  for (const std::string& operations : harmful) {
    try {
      parse(pickled(operations));
      ADD_FAILURE() << "accepted: " << operations;
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::kUnsupported || error.code() == ErrorCode::kInvalidData) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("byte"), std::string::npos) << error.what();
    }
  }
}

TEST(Pickle, UntidyStacks) {
  for (const char* operations : {"", "NN", "(", "0", "1", "2", "a", "]a", "e", "](K", "s", "}Ns", "u", "}(Nu", "(Nd", "t", "R", "NR", "Q", "b",
                                 "q\1", "(0", "N(a", "(l]", "\x85", "\x87", "\x93", "Ix\n", "I", "Fx\n", "F\n", "p\n", "\xff", "~"}) {
    EXPECT_NE(error_of(pickled(operations)), "") << operations;
  }
  EXPECT_NE(error_of("\x80\x06N."), "");
  EXPECT_NE(error_of(""), "");
}

TEST(Pickle, DeepAndLoopedPickles) {
  const std::string deep = std::string(200'000, ']') + std::string(199'999, 'a');
  EXPECT_EQ(kind_of(deep), PickleKind::kList);
  const std::string loop = pickled("]q\x01h\x01""a");
  const Pickle pickle = parse(loop);
  EXPECT_EQ(pickle.items(pickle.root())[0].node, pickle.root().node);
  std::string laughs = "]q" + std::string(1, '\0');  // each list holds the one before ten times
  for (char i = 1; i < 30; ++i) {
    laughs += "](";
    for (int j = 0; j < 10; ++j) laughs += std::string("h") + static_cast<char>(i - 1);
    laughs += std::string("eq") + i;
  }
  EXPECT_EQ(kind_of("(" + laughs + "t"), PickleKind::kTuple);
}

TEST(Pickle, MillionsOfValuesAreTooMany) {
  EXPECT_NE(error_of(pickled(std::string(size_t{3} << 19, ']')), ErrorCode::kResourceLimit), "");
  EXPECT_NE(error_of(pickled("(" + std::string(size_t{5} << 20, 'N') + "t"), ErrorCode::kResourceLimit), "");
  EXPECT_NE(error_of(pickled(std::string(size_t{5} << 20, '(')), ErrorCode::kResourceLimit), "");
}

}  // namespace
}  // namespace csm
