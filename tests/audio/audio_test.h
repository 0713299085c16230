// What the tests of sound share: a folder that goes away, golden clips, tones, and levels.
#pragma once

#include <csm/audio.h>
#include <csm/error.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "golden/golden.h"

namespace csm::test {

inline constexpr double kPi = 3.14159265358979323846;

class AudioTest : public ::testing::Test {
 protected:
  AudioTest() : folder_(std::filesystem::temp_directory_path() / ("csm-audio-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~AudioTest() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      names.push_back(entry.path().filename().string());
    return names;
  }

 private:
  std::filesystem::path folder_;
};

inline std::vector<float> clip(const std::string& name) {
  std::vector<float> samples = read_arrays(kData + "/audio/clips.safetensors").at(name).values;
  for (float& sample : samples) sample /= 32768;
  return samples;
}

inline std::vector<float> tone(double hz, double amplitude, double seconds, int rate_hz = 24'000) {
  std::vector<float> samples(static_cast<size_t>(std::llround(seconds * rate_hz)));
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = static_cast<float>(amplitude * std::sin(2 * kPi * hz * static_cast<double>(i) / rate_hz));
  }
  return samples;
}

inline double rms(const std::vector<float>& samples) {
  double sum = 0;
  for (const float sample : samples) sum += static_cast<double>(sample) * static_cast<double>(sample);
  return std::sqrt(sum / static_cast<double>(samples.size()));
}

inline double peak(const std::vector<float>& samples) {
  double most = 0;
  for (const float sample : samples) most = std::fmax(most, std::fabs(static_cast<double>(sample)));
  return most;
}

inline double db(double amplitude) { return 20 * std::log10(amplitude); }

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline uint32_t little_endian(const std::string& bytes, size_t offset, size_t n = 4) {
  uint32_t value = 0;
  for (size_t i = n; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes.at(offset + i));
  return value;
}

// The error that an action ends in; a test failure when it ends in none.
template <typename Action>
Error error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error;
  }
  ADD_FAILURE() << "expected a csm::Error";
  return {ErrorCode::kInternal, ""};
}

#define EXPECT_ERROR(action, wanted_code, part)                                           \
  do {                                                                                    \
    const csm::Error caught = csm::test::error_of([&] { action; });                       \
    EXPECT_EQ(caught.code(), wanted_code) << caught.what();                               \
    EXPECT_NE(std::string(caught.what()).find(part), std::string::npos) << caught.what(); \
  } while (false)

// Standard output and sockets: bytes in memory, with or without a way back.
class MemorySink : public SoundSink {
 public:
  explicit MemorySink(bool can_seek) : can_seek_(can_seek) {}
  void write(const void* data, size_t n_bytes) override {
    if (bytes.size() < position_ + n_bytes) bytes.resize(position_ + n_bytes);
    bytes.replace(position_, n_bytes, static_cast<const char*>(data), n_bytes);
    position_ += n_bytes;
  }
  bool can_seek() const override { return can_seek_; }
  void seek(uint64_t offset) override {
    EXPECT_TRUE(can_seek_);
    position_ = static_cast<size_t>(offset);
  }
  std::string bytes;

 private:
  bool can_seek_;
  size_t position_ = 0;
};

}  // namespace csm::test
