// Zip archives as PyTorch's reader sees them: what is whole is found where it lies, and nothing else is believed.
#include <gtest/gtest.h>

#include <csm/error.h>
#include "pytorch_files.h"

namespace csm {
namespace {

using namespace csm::test;

std::string error_of(const std::string& bytes, ErrorCode code = ErrorCode::kInvalidData) {
  try {
    read_zip(bytes_of(bytes), "test");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

std::string text_of(const ZipEntry& entry) { return {reinterpret_cast<const char*>(entry.data.data()), entry.data.size()}; }

TEST(Zip, EntriesAreViews) {
  for (const ZipEnds ends : {ZipEnds::kShort, ZipEnds::kWide}) {
    for (const char* comment : {"", "a comment with PK\5\6 in it"}) {
      const std::string bytes = zip_of({{"a/one", "first"}, {"a/none", ""}, {"a/two", "second"}}, ends, comment);
      ASSERT_TRUE(has_zip_magic(bytes_of(bytes)));
      const auto entries = read_zip(bytes_of(bytes), "test");
      ASSERT_EQ(entries.size(), 3u);
      EXPECT_EQ(entries[0].name, "a/one");
      EXPECT_EQ(text_of(entries[0]), "first");
      EXPECT_EQ(entries[0].crc, zip_crc32(entries[0].data));
      EXPECT_EQ(text_of(entries[1]), "");
      EXPECT_EQ(text_of(entries[2]), "second");
      EXPECT_GE(reinterpret_cast<const char*>(entries[2].data.data()), bytes.data());
    }
  }
  EXPECT_EQ(zip_crc32(bytes_of("123456789")), 0xCBF43926u);
  EXPECT_FALSE(has_zip_magic(bytes_of("PK\5\6")) || has_zip_magic({}));
}

TEST(Zip, NothingCutIsBelieved) {
  for (const ZipEnds ends : {ZipEnds::kShort, ZipEnds::kWide}) {
    const std::string bytes = zip_of({{"a/one", "first"}, {"a/two", "second"}}, ends);
    for (size_t n = 0; n < bytes.size(); ++n) EXPECT_NE(error_of(bytes.substr(0, n)), "") << n;
    EXPECT_NE(error_of(bytes + "x"), "");
    EXPECT_NE(error_of("x" + bytes), "");  // something in front of it
  }
}

TEST(Zip, NoByteChangesTheBoundsOfAnEntry) {
  for (const ZipEnds ends : {ZipEnds::kShort, ZipEnds::kWide}) {
    const std::string good = zip_of({{"a/one", "first"}, {"a/two", "second"}}, ends);
    for (size_t i = 0; i < good.size(); ++i) {
      for (const int change : {1, 0x80, 0xFF}) {
        std::string bytes = good;
        bytes[i] = static_cast<char>(bytes[i] ^ change);
        try {
          for (const ZipEntry& entry : read_zip(bytes_of(bytes), "test")) {
            EXPECT_GE(reinterpret_cast<const char*>(entry.data.data()), bytes.data());
            EXPECT_LE(reinterpret_cast<const char*>(entry.data.data()) + entry.data.size(), bytes.data() + bytes.size());
          }
        } catch (const Error&) {
        }
      }
    }
  }
}

TEST(Zip, EntriesThatLie) {
  EXPECT_NE(error_of(zip_of({{"a", "12345", 0, 0, "b"}})).find("another name"), std::string::npos);
  EXPECT_NE(error_of(zip_of({{"a", "12345"}, {"b", "12345", 0, 0, "", 1}})).find("not at byte"), std::string::npos);
  EXPECT_NE(error_of(zip_of({{"a", "12345"}, {"a", "1"}})).find("two zip entries"), std::string::npos);
  EXPECT_NE(error_of(zip_of({{"a", "12345", 0, 0, "", 0, 1000}})).find("of which"), std::string::npos);
  EXPECT_NE(error_of(zip_of({{"a", "12345", 0, 0, "", 0, ~uint64_t{0} - 9}}, ZipEnds::kWide)).find("of which"), std::string::npos);
  EXPECT_NE(error_of(zip_of({{"a", "12345", 0, 0, "", int64_t{1} << 62}}, ZipEnds::kWide)).find("not at byte"), std::string::npos);
  // The first one reaches over the second one's header.
  EXPECT_NE(error_of(zip_of({{"a", "12345", 0, 0, "", 0, 20}, {"b", "1"}})).find("overlap"), std::string::npos);
}

TEST(Zip, NamesThatLeaveTheirFolder) {
  for (const char* name : {"../a", "a/../../b", "/etc/passwd", "a\\b", "..", "a/.."}) {
    EXPECT_NE(error_of(zip_of({{name, "x"}})).find("leaves"), std::string::npos) << name;
  }
  EXPECT_NE(error_of(zip_of({{std::string("a\0b", 3), "x"}})).find("leaves"), std::string::npos);
  EXPECT_NE(error_of(zip_of({{"a\nb/../c", "x"}})), "");  // in one line all the same
  EXPECT_EQ(read_zip(bytes_of(zip_of({{"a/..b/c..", "x"}})), "test").size(), 1u);
}

TEST(Zip, CompressedAndEncryptedEntriesAreNamed) {
  EXPECT_NE(error_of(zip_of({{"bomb", "x", 8}}), ErrorCode::kUnsupported).find("compressed"), std::string::npos);
  EXPECT_NE(error_of(zip_of({{"a", "x", 0, 1}}), ErrorCode::kUnsupported).find("encrypted"), std::string::npos);
}

TEST(Zip, CountsMustFitTheDirectory) {
  std::string bytes = zip_of({{"a", "x"}});
  const size_t end = bytes.size() - 22;
  for (const uint64_t count : {uint64_t{0}, uint64_t{2}, uint64_t{0xFFFE}}) {
    std::string wrong = bytes;
    wrong.replace(end + 8, 4, le(count, 2) + le(count, 2));
    EXPECT_NE(error_of(wrong), "") << count;
  }
  bytes.replace(end + 8, 2, le(2, 2));  // on this disk and on all
  EXPECT_NE(error_of(bytes, ErrorCode::kUnsupported).find("split"), std::string::npos);
  std::string wide = zip_of({{"a", "x"}}, ZipEnds::kWide);
  const size_t wide_end = wide.size() - 22 - 20 - 56;
  wide.replace(wide_end + 24, 16, le(uint64_t{1} << 60, 8) + le(uint64_t{1} << 60, 8));
  EXPECT_NE(error_of(wide).find("claims"), std::string::npos);
}

}  // namespace
}  // namespace csm
