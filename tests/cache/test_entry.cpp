// Entries of the cache of converted weights: what comes back is what was stored, or DamagedEntry.
#include "cache/entry.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "cache/cache_test.h"
#include "model/weight_cache.h"

namespace csm {
namespace {

class Entry : public CacheTest {
 protected:
  // Two tensors, of which the larger begins at a page.
  void write() {
    std::iota(large_.begin(), large_.end(), 1.0f);
    EntryWriter writer(path_, key_, 2);
    writer.add("small", DType::kU32, {3}, std::as_bytes(std::span(small_)));
    writer.add("large", DType::kF32, {160, 128}, std::as_bytes(std::span(large_)));
    writer.commit();
  }
  // What fetching all of it ends in.
  std::string damage() {
    try {
      for (const auto& [name, tensor] : read_entry(path_, key_)) (void)tensor.fetch();
    } catch (const DamagedEntry& error) {
      return error.what();
    }
    return "";
  }

  EntryKey key_{std::string(64, 'a'), "test settings"};
  std::string path_ = path(EntryKey{std::string(64, 'a'), "test settings"}.file_name());
  std::vector<uint32_t> small_ = {7, 8, 9};
  std::vector<float> large_ = std::vector<float>(160 * 128);
};

TEST_F(Entry, GivesBackWhatWasStored) {
  write();
  const auto tensors = read_entry(path_, key_);
  const TensorInfo& large = tensors.at("large");
  EXPECT_EQ(large.describe(), "F32 [160, 128]");
  const TensorBytes bytes = large.fetch();
  EXPECT_TRUE(bytes.is_mapped);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes.data.data()) % 4096, 0u);
  ASSERT_EQ(bytes.data.size(), large_.size() * sizeof(float));
  EXPECT_EQ(std::memcmp(bytes.data.data(), large_.data(), bytes.data.size()), 0);
  EXPECT_EQ(std::memcmp(tensors.at("small").fetch().data.data(), small_.data(), 12), 0);
  EXPECT_EQ(read_entry_key(path_).settings, key_.settings);
}

// Every kind of byte: length, JSON, the blanks behind it, padding, and weights.
TEST_F(Entry, AnyFlippedBitIsNoticed) {
  write();
  const std::string good = read_file(path_);
  const size_t n_header = good.find_last_not_of(' ', good.find("}}  ") + 100) + 1;
  std::vector<size_t> positions = {0, 3, 7, n_header, good.size() / 2, good.size() - 1};
  for (size_t i = 8; i < good.find("}}  ") + 8; i += 7) positions.push_back(i);
  for (const char* part : {"\"version\"", "\"digests\"", "\"header\"", "data_offsets", "test settings", "F32", "160,128"}) {
    positions.push_back(good.find(part) + std::strlen(part) / 2);
  }
  for (const size_t position : positions) {
    std::string bad = good;
    bad[position] = static_cast<char>(bad[position] ^ 1);
    write_file(path_, bad);
    EXPECT_NE(damage(), "") << "byte " << position << " of " << good.size();
  }
  write_file(path_, good);
  EXPECT_EQ(damage(), "");
}

TEST_F(Entry, AnyTruncationIsNoticed) {
  write();
  const std::string good = read_file(path_);
  for (const size_t n : {size_t{0}, size_t{4}, size_t{100}, good.size() / 2, good.size() - 1}) {
    write_file(path_, good.substr(0, n));
    EXPECT_NE(damage(), "") << n << " bytes";
  }
  write_file(path_, good + "x");
  EXPECT_NE(damage(), "");
}

TEST_F(Entry, OfAnotherKeyIsRefused) {
  write();
  EXPECT_THROW(read_entry(path_, {std::string(64, 'b'), key_.settings}), DamagedEntry);
  EXPECT_THROW(read_entry(path_, {key_.content, "other settings"}), DamagedEntry);
  EXPECT_NE(key_.file_name(), (EntryKey{key_.content, "other settings"}.file_name()));
}

TEST_F(Entry, OfAnotherVersionIsRefused) {
  write();
  std::string bytes = read_file(path_);
  const size_t version = bytes.find("\"version\":\"1\"");
  ASSERT_NE(version, std::string::npos);
  bytes[version + std::strlen("\"version\":\"")] = '2';
  write_file(path_, bytes);
  EXPECT_NE(damage().find("version '2'"), std::string::npos) << damage();
}

TEST_F(Entry, NothingIsThereWithoutCommit) {
  {
    EntryWriter writer(path_, key_, 1);
    writer.add("small", DType::kU32, {3}, std::as_bytes(std::span(small_)));
  }
  EXPECT_TRUE(files_in(directory()).empty());
}

TEST_F(Entry, MoreTensorsThanAnnouncedAreAnError) {
  EntryWriter writer(path_, key_, 1);
  for (int i = 0; i < 1000; ++i) writer.add("tensor." + std::to_string(i), DType::kU32, {3}, std::as_bytes(std::span(small_)));
  EXPECT_THROW(writer.commit(), Error);
}

}  // namespace
}  // namespace csm
