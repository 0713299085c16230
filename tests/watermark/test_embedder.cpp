// The embedder: alignment, pieces, silence, peaks, presets, rates.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include <csm/error.h>

#include "watermark_test.h"

// Counts what this program allocates, for the test that a frame allocates nothing. Threads of other tests allocate too.
static std::atomic<size_t> n_allocations{0};
static void* counted_allocation(size_t n) {
  ++n_allocations;
  return std::malloc(n > 0 ? n : 1);
}
void* operator new(size_t n) {
  if (void* memory = counted_allocation(n)) return memory;
  throw std::bad_alloc();
}
void* operator new[](size_t n) { return operator new(n); }
void* operator new(size_t n, const std::nothrow_t&) noexcept { return counted_allocation(n); }
void* operator new[](size_t n, const std::nothrow_t&) noexcept { return counted_allocation(n); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace csm {
namespace {

std::vector<float> embed(WatermarkEmbedder& embedder, const std::vector<float>& samples, size_t piece) {
  std::vector<float> out;
  for (size_t i = 0; i < samples.size(); i += piece) {
    embedder.push(&samples[i], std::min(piece, samples.size() - i), out);
  }
  embedder.finish(out);
  return out;
}

TEST(Embedder, PiecesOfAnySizeGiveTheSameBits) {
  const Audio speech = speech_like(1.3, 1);
  WatermarkEmbedder embedder(WatermarkOptions(), kTestRateHz);
  const std::vector<float> whole = embed(embedder, speech.samples, speech.samples.size());
  ASSERT_EQ(whole.size(), speech.samples.size());
  EXPECT_NE(whole, speech.samples);
  for (const size_t piece : {1, 7, 479, 480, 481, 1920, 10'000}) {
    EXPECT_TRUE(embed(embedder, speech.samples, piece) == whole) << piece;
  }
}

TEST(Embedder, FramesComeTwentyMillisecondsLate) {
  const Audio speech = speech_like(0.4, 2);
  WatermarkEmbedder embedder(WatermarkOptions(), kTestRateHz);
  std::vector<float> out;
  for (size_t frame = 0; frame < 5; ++frame) {
    embedder.push(&speech.samples[frame * 1920], 1920, out);
    EXPECT_EQ(out.size(), (frame + 1) * 1920 - 480);
  }
  embedder.finish(out);
  EXPECT_EQ(out.size(), speech.samples.size());
}

TEST(Embedder, LengthAndAlignmentStay) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{479}, size_t{480}, size_t{960}, size_t{1441}, size_t{5'000}}) {
    Audio speech = speech_like(0.3, 3);
    speech.samples.resize(n);
    EXPECT_EQ(mark_audio(speech, WatermarkOptions()).samples.size(), n);
  }
  const Audio speech = speech_like(3, 4), marked = mark_audio(speech, WatermarkOptions());
  double same = 0, power = 0;  // the correlation without any shift is nearly one
  for (size_t i = 0; i < speech.samples.size(); ++i) {
    same += static_cast<double>(speech.samples[i] * marked.samples[i]);
    power += static_cast<double>(speech.samples[i] * speech.samples[i]);
  }
  EXPECT_NEAR(same / power, 1, 0.02);
  EXPECT_NEAR(20 * std::log10(rms(marked.samples) / rms(speech.samples)), 0, 0.05);
}

TEST(Embedder, DigitalSilenceStaysSilent) {
  Audio speech = speech_like(2, 5);
  std::fill(speech.samples.begin() + 10'000, speech.samples.begin() + 22'345, 0.0f);
  const Audio marked = mark_audio(speech, WatermarkOptions());
  for (size_t i = 10'000; i < 22'345; ++i) ASSERT_EQ(marked.samples[i], 0) << i;
  const Audio nothing = {std::vector<float>(20'000), kTestRateHz};
  EXPECT_EQ(mark_audio(nothing, WatermarkOptions()).samples, nothing.samples);
  WatermarkEmbedder embedder(WatermarkOptions(), kTestRateHz);
  embed(embedder, nothing.samples, 1920);
  EXPECT_FALSE(embedder.stats().embedded);
}

TEST(Embedder, DoesNotClip) {
  Audio loud = speech_like(2, 6);
  for (float& x : loud.samples) x = std::clamp(x * 3, -0.98f, 0.98f);
  for (const float x : mark_audio(loud, WatermarkOptions()).samples) ASSERT_LE(std::abs(x), 0.99f);
}

TEST(Embedder, AFrameAllocatesNothing) {
  const Audio speech = speech_like(2, 7);
  WatermarkOptions options;
  options.key.name = "a name that is too long to be kept inside of a string object";
  WatermarkEmbedder embedder(options, kTestRateHz);
  std::vector<float> out;
  out.reserve(speech.samples.size());
  const size_t before = n_allocations;
  for (size_t i = 0; i + 1920 <= speech.samples.size(); i += 1920) embedder.push(&speech.samples[i], 1920, out);
  embedder.finish(out);
  EXPECT_EQ(n_allocations, before);
  EXPECT_TRUE(embedder.stats().embedded);
}

TEST(Embedder, StrongerPresetsChangeMore) {
  const Audio speech = speech_like(3, 8);
  double before = 0;
  for (const auto preset : {WatermarkPreset::kQuiet, WatermarkPreset::kNormal, WatermarkPreset::kStrong}) {
    WatermarkOptions options;
    options.preset = preset;
    std::vector<float> change = mark_audio(speech, options).samples;
    for (size_t i = 0; i < change.size(); ++i) change[i] -= speech.samples[i];
    EXPECT_GT(rms(change), before);
    EXPECT_LT(rms(change), rms(speech.samples) / 5);
    before = rms(change);
  }
}

TEST(Embedder, SwitchedOffItPassesSamplesOn) {
  const Audio speech = speech_like(0.5, 9);
  WatermarkOptions options;
  options.enabled = false;
  WatermarkEmbedder embedder(options, 11'025);
  EXPECT_EQ(embed(embedder, speech.samples, 1'000), speech.samples);
  EXPECT_FALSE(embedder.stats().embedded);
}

TEST(Embedder, RefusesRatesThatHopsDoNotDivide) {
  try {
    WatermarkEmbedder embedder(WatermarkOptions(), 11'025);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("11025"), std::string::npos);
  }
}

TEST(Keys, TextWithBlanksAndComments) {
  const std::string digits = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
  const WatermarkKey key = parse_watermark_key("# mine\n  " + digits.substr(0, 30) + "\r\n" + digits.substr(30) + "\n",
                                               "k");
  EXPECT_EQ(key.bytes[1], 0x11);
  EXPECT_EQ(key.bytes[31], 0xFF);
  for (const std::string& bad : {digits.substr(1), digits + "0", std::string("g") + digits.substr(1), std::string()}) {
    try {
      parse_watermark_key(bad, "k");
      FAIL() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidData);
      EXPECT_EQ(std::string(error.what()).find("1122"), std::string::npos) << "the message quotes the key";
    }
  }
}

}  // namespace
}  // namespace csm
