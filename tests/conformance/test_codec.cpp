// The laws of the seam (src/model/model.h) for every built-in backend's codec.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <tuple>

#include "backends/registry.h"
#include "csm/error.h"
#include "engine/loader.h"
#include "golden/golden.h"

namespace {

// Allocations of C++ code on any thread, counted between two reads.
std::atomic<uint64_t> n_allocations{0};

void* counted_allocation(size_t n_bytes) noexcept {
  ++n_allocations;
  return std::malloc(n_bytes != 0 ? n_bytes : 1);
}

void* counted_allocation_or_throw(size_t n_bytes) {
  void* memory = counted_allocation(n_bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(size_t n_bytes) { return counted_allocation_or_throw(n_bytes); }
void* operator new[](size_t n_bytes) { return counted_allocation_or_throw(n_bytes); }
void* operator new(size_t n_bytes, const std::nothrow_t&) noexcept { return counted_allocation(n_bytes); }
void* operator new[](size_t n_bytes, const std::nothrow_t&) noexcept { return counted_allocation(n_bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace csm::test {
namespace {

// Odd shapes and a window of 9 steps; 8 layers and a window of 16; a trained model with products large enough for all
// threads.
const std::string kModels[] = {kData + "/ckpt/csm-tiny-b", kData + "/ckpt/mimi-tiny-c",
                               std::string(CSM_MODELS_DIR) + "/demo"};

class CodecLaws : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override {
    backend_ = make_backend(std::get<0>(GetParam()));
    checkpoint_ = load_checkpoint(find_model_files(std::get<1>(GetParam())));
    codec_ = load(1);
  }

  const CodecSpec& spec() const { return checkpoint_->spec().codec; }
  int n_codebooks() const { return spec().n_codebooks; }
  size_t frame_samples() const { return static_cast<size_t>(spec().frame_samples()); }
  // More frames than the window has steps, so that the ring wraps; few for the trained model, whose window is long.
  int n_frames() const { return spec().window < 100 ? 2 * spec().window : 12; }

  std::unique_ptr<Codec> load(int n_threads, WeightType type = WeightType::kF32) {
    BackendOptions options;
    options.n_threads = n_threads;
    options.codec_type = type;
    return backend_->load_codec(checkpoint_, options);
  }
  std::vector<int32_t> random_codes(int n, unsigned seed) const {
    std::mt19937 random(seed);
    std::vector<int32_t> codes(static_cast<size_t>(n * n_codebooks()));
    for (int32_t& code : codes) code = static_cast<int32_t>(random() % static_cast<unsigned>(spec().codebook_size));
    return codes;
  }
  // Two tones and noise.
  std::vector<float> random_samples(size_t n, unsigned seed) const {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> noise(-0.05f, 0.05f);
    std::vector<float> samples(n);
    for (size_t i = 0; i < n; ++i) {
      const auto t = static_cast<float>(i);
      samples[i] = 0.3f * std::sin(0.041f * t) + 0.2f * std::sin(0.011f * t + static_cast<float>(seed)) + noise(random);
    }
    return samples;
  }
  std::vector<float> decode(Codec& codec, std::span<const int32_t> codes) const {
    std::vector<float> samples;
    codec.new_decoder()->push(codes, n_codebooks(), samples);
    return samples;
  }
  static std::vector<int32_t> encode(Codec& codec, std::span<const float> samples) {
    std::vector<int32_t> codes;
    const auto encoder = codec.new_encoder();
    encoder->push(samples, codes);
    encoder->finish(codes);
    return codes;
  }
  template <typename Call>
  static void expect_invalid(const Call& call) {
    try {
      call();
      ADD_FAILURE() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    }
  }

  std::unique_ptr<Backend> backend_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::unique_ptr<Codec> codec_;
};

TEST_P(CodecLaws, DecodedSamplesDoNotDependOnChunks) {
  const auto codes = random_codes(n_frames(), 1);
  const auto whole = decode(*codec_, codes);
  EXPECT_EQ(whole.size(), static_cast<size_t>(n_frames()) * frame_samples());
  for (const float sample : whole) ASSERT_TRUE(std::isfinite(sample));
  for (const unsigned seed : {0u, 1u, 2u}) {  // 0: frame by frame
    std::mt19937 random(seed);
    const auto decoder = codec_->new_decoder();
    std::vector<float> samples;
    for (int first = 0; first < n_frames();) {
      const int n = seed == 0 ? 1 : std::min(n_frames() - first, static_cast<int>(random() % 6));
      decoder->push(
          std::span(codes).subspan(static_cast<size_t>(first * n_codebooks()), static_cast<size_t>(n * n_codebooks())),
          n_codebooks(), samples);
      first += n;
    }
    EXPECT_EQ(samples, whole) << seed;
  }
}

TEST_P(CodecLaws, CodesDoNotDependOnChunks) {
  const auto samples = random_samples(static_cast<size_t>(n_frames()) * frame_samples() + frame_samples() / 3, 3);
  const auto whole = encode(*codec_, samples);
  EXPECT_EQ(whole.size(), static_cast<size_t>((n_frames() + 1) * n_codebooks()));
  for (const size_t most : {size_t{7}, frame_samples(), 3 * frame_samples() + 5}) {
    std::mt19937 random(static_cast<unsigned>(most));
    const auto encoder = codec_->new_encoder();
    std::vector<int32_t> codes;
    for (size_t first = 0; first < samples.size();) {
      const size_t n = std::min(samples.size() - first, static_cast<size_t>(random()) % (most + 1));
      encoder->push(std::span(samples).subspan(first, n), codes);
      first += n;
      EXPECT_EQ(codes.size(), first / frame_samples() * static_cast<size_t>(n_codebooks()));
    }
    encoder->finish(codes);
    EXPECT_EQ(codes, whole) << most;
  }
}

TEST_P(CodecLaws, LengthsAreRoundedUpToFrames) {
  const size_t frame = frame_samples();
  for (const size_t n : {size_t{0}, size_t{1}, frame / 2, frame / 2 + 1, frame - 1, frame, frame + 1, 2 * frame}) {
    const auto codes = encode(*codec_, random_samples(n, 4));
    EXPECT_EQ(codes.size(), (n + frame - 1) / frame * static_cast<size_t>(n_codebooks())) << n;
    for (const int32_t code : codes) ASSERT_TRUE(code >= 0 && code < spec().codebook_size) << code;
  }
}

// A frame's codes are final: what follows does not change them.
TEST_P(CodecLaws, EncoderDoesNotLookAhead) {
  const auto samples = random_samples(6 * frame_samples(), 5);
  const auto whole = encode(*codec_, samples);
  const auto start = encode(*codec_, std::span(samples).first(4 * frame_samples()));
  EXPECT_TRUE(std::equal(start.begin(), start.end(), whole.begin()));
}

TEST_P(CodecLaws, StreamsDoNotDisturbEachOther) {
  const auto codes_a = random_codes(8, 6);
  const auto codes_b = random_codes(8, 7);
  const auto samples_in = random_samples(8 * frame_samples(), 8);
  const auto a = codec_->new_decoder();
  const auto b = codec_->new_decoder();
  const auto encoder = codec_->new_encoder();
  std::vector<float> samples_a;
  std::vector<float> samples_b;
  std::vector<int32_t> codes;
  const auto n = static_cast<size_t>(n_codebooks());
  for (size_t frame = 0; frame < 8; ++frame) {
    a->push(std::span(codes_a).subspan(frame * n, n), n_codebooks(), samples_a);
    encoder->push(std::span(samples_in).subspan(frame * frame_samples(), frame_samples()), codes);
    b->push(std::span(codes_b).subspan(frame * n, n), n_codebooks(), samples_b);
  }
  EXPECT_EQ(samples_a, decode(*codec_, codes_a));
  EXPECT_EQ(samples_b, decode(*codec_, codes_b));
  EXPECT_EQ(codes, encode(*codec_, samples_in));
  EXPECT_NE(samples_a, samples_b);
}

TEST_P(CodecLaws, ThreadsDoNotChangeTheResult) {
  const auto codec = load(2);
  const auto codes = random_codes(6, 9);
  EXPECT_EQ(decode(*codec, codes), decode(*codec_, codes));
  const auto samples = random_samples(6 * frame_samples() + 11, 10);
  EXPECT_EQ(encode(*codec, samples), encode(*codec_, samples));
}

TEST_P(CodecLaws, ResultsAreAppended) {
  const auto codes = random_codes(2, 11);
  std::vector<float> samples(3, 0.5f);
  codec_->new_decoder()->push(codes, n_codebooks(), samples);
  ASSERT_EQ(samples.size(), 3 + 2 * frame_samples());
  EXPECT_EQ(std::vector<float>(samples.begin(), samples.begin() + 3), std::vector<float>(3, 0.5f));
  EXPECT_EQ(std::vector<float>(samples.begin() + 3, samples.end()), decode(*codec_, codes));
}

TEST_P(CodecLaws, FewerCodebooksAreAPrefix) {
  const auto codes = random_codes(3, 12);
  std::vector<std::vector<float>> results;
  for (const int n : {1, 2, n_codebooks() - 1, n_codebooks()}) {
    std::vector<int32_t> first;
    for (int frame = 0; frame < 3; ++frame) {
      const auto row = codes.begin() + frame * n_codebooks();
      first.insert(first.end(), row, row + n);
    }
    results.emplace_back();
    codec_->new_decoder()->push(first, n, results.back());
    EXPECT_EQ(results.back().size(), 3 * frame_samples());
  }
  EXPECT_EQ(results.back(), decode(*codec_, codes));
  EXPECT_NE(results[0], results[1]);
}

TEST_P(CodecLaws, BadCodesLeaveTheDecoderUnharmed) {
  const auto codes = random_codes(5, 13);
  const auto n = static_cast<size_t>(n_codebooks());
  const auto decoder = codec_->new_decoder();
  std::vector<float> samples;
  decoder->push(std::span(codes).first(2 * n), n_codebooks(), samples);
  const std::vector<float> before = samples;
  for (const int32_t bad :
       {-1, spec().codebook_size, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()}) {
    std::vector<int32_t> frames(codes.begin(), codes.begin() + static_cast<std::ptrdiff_t>(3 * n));
    frames.back() = bad;
    expect_invalid([&] { decoder->push(frames, n_codebooks(), samples); });
  }
  expect_invalid([&] { decoder->push(std::span(codes).first(n + 1), n_codebooks(), samples); });
  expect_invalid([&] { decoder->push(std::span(codes).first(n), 0, samples); });
  expect_invalid([&] { decoder->push(std::span(codes).first(n), -3, samples); });
  expect_invalid([&] { decoder->push(random_codes(n_codebooks() + 1, 1), n_codebooks() + 1, samples); });
  EXPECT_EQ(samples, before);
  decoder->push(std::span(codes).subspan(2 * n), n_codebooks(), samples);
  EXPECT_EQ(samples, decode(*codec_, codes));
}

TEST_P(CodecLaws, BadSamplesLeaveTheEncoderUnharmed) {
  const auto samples = random_samples(3 * frame_samples() + 17, 14);
  const auto encoder = codec_->new_encoder();
  std::vector<int32_t> codes;
  encoder->push(std::span(samples).first(frame_samples() + 5), codes);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    std::vector<float> spoilt = samples;
    spoilt.back() = bad;
    expect_invalid([&] { encoder->push(spoilt, codes); });
  }
  encoder->push(std::span(samples).subspan(frame_samples() + 5), codes);
  encoder->finish(codes);
  EXPECT_EQ(codes, encode(*codec_, samples));
  expect_invalid([&] { encoder->push(samples, codes); });
  expect_invalid([&] { encoder->finish(codes); });
  EXPECT_EQ(codes, encode(*codec_, samples));
}

TEST_P(CodecLaws, NothingIsBuiltOrAllocatedPerFrame) {
  const auto codes = random_codes(21, 15);
  const auto samples_in = random_samples(21 * frame_samples(), 16);
  const auto n = static_cast<size_t>(n_codebooks());
  const auto decoder = codec_->new_decoder();
  const auto encoder = codec_->new_encoder();
  std::vector<float> samples;
  std::vector<int32_t> encoded;
  samples.reserve(21 * frame_samples());
  encoded.reserve(codes.size());
  uint64_t setups = 0;
  uint64_t allocations = 0;
  for (size_t frame = 0; frame < 21; ++frame) {
    decoder->push(std::span(codes).subspan(frame * n, n), n_codebooks(), samples);
    encoder->push(std::span(samples_in).subspan(frame * frame_samples(), frame_samples()), encoded);
    if (frame > 0) continue;
    setups = codec_->n_setups();
    allocations = n_allocations;
  }
  if (backend_->plans_graphs()) EXPECT_EQ(n_allocations, allocations);
  EXPECT_EQ(codec_->n_setups(), setups);
  EXPECT_GT(setups, 0u);
}

TEST_P(CodecLaws, HalfPrecisionTakesLessMemoryAndIsClose) {
  const auto half = load(1, WeightType::kF16);
  EXPECT_LT(half->weight_bytes(), codec_->weight_bytes());
  const auto codes = random_codes(4, 17);
  EXPECT_LE(max_difference(decode(*half, codes), decode(*codec_, codes)), 2e-2f);
  expect_invalid([&] { load(1, WeightType::kQ8_0); });
}

std::string test_name(const ::testing::TestParamInfo<std::tuple<std::string, std::string>>& info) {
  std::string model = std::get<1>(info.param);
  model.erase(0, model.rfind('/') + 1);
  std::replace(model.begin(), model.end(), '-', '_');
  return std::get<0>(info.param) + "_" + model;
}

INSTANTIATE_TEST_SUITE_P(Backends, CodecLaws,
                         ::testing::Combine(::testing::ValuesIn(backend_names()), ::testing::ValuesIn(kModels)),
                         test_name);

// The trained model: a buzz through the codec and back comes and goes as it did (its loudness is that of speech the
// model knows).
class TrainedCodec : public ::testing::TestWithParam<std::string> {};

TEST_P(TrainedCodec, RoundTripKeepsTheEnvelope) {
  const auto checkpoint = load_checkpoint(find_model_files(std::string(CSM_MODELS_DIR) + "/demo"));
  BackendOptions options;
  options.n_threads = 1;
  const auto codec = make_backend(GetParam())->load_codec(checkpoint, options);
  std::vector<float> samples(48000);
  for (size_t i = 0; i < samples.size(); ++i) {
    const double t = static_cast<double>(i) / 24000;
    const double loudness = std::fmod(t, 0.5) < 0.25 ? 0.3 : 0.01;
    double value = 0;
    for (int harmonic = 1; harmonic < 12; ++harmonic)
      value += std::sin(2 * 3.141592653589793 * 130 * harmonic * t) / harmonic;
    samples[i] = static_cast<float>(loudness * value);
  }
  std::vector<int32_t> codes;
  const auto encoder = codec->new_encoder();
  encoder->push(samples, codes);
  encoder->finish(codes);
  std::vector<float> decoded;
  codec->new_decoder()->push(codes, checkpoint->spec().codec.n_codebooks, decoded);
  ASSERT_EQ(decoded.size(), samples.size());
  const auto rms = [&](const std::vector<float>& x, double from_s) {  // of 100 ms
    const auto first = static_cast<size_t>(from_s * 24000);
    double sum = 0;
    for (size_t i = first; i < first + 2400; ++i) sum += static_cast<double>(x[i]) * x[i];
    return std::sqrt(sum / 2400);
  };
  for (const double from_s : {0.6, 1.1, 1.6}) {
    EXPECT_GT(rms(decoded, from_s), 0.1 * rms(samples, from_s)) << from_s;
    EXPECT_LT(rms(decoded, from_s), 1.5 * rms(samples, from_s)) << from_s;
    EXPECT_LT(rms(decoded, from_s + 0.28), rms(decoded, from_s) / 3) << from_s;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, TrainedCodec, ::testing::ValuesIn(backend_names()));

}  // namespace
}  // namespace csm::test
