#include "engine/sound.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

#include "base/fail.h"

namespace csm {
namespace {

constexpr int kEncodeFrames = 25;  // pushed at once: two seconds, whose activations take some megabytes

void check_sound(const Audio& audio) {
  if (audio.samples.empty()) fail(ErrorCode::kInvalidArgument, "the audio to encode has no samples");
  for (size_t i = 0; i < audio.samples.size(); ++i) {
    if (!std::isfinite(audio.samples[i])) {
      fail(ErrorCode::kInvalidArgument, "sample {} of the audio to encode is {}; expected a finite number", i,
           audio.samples[i]);
    }
  }
}

}  // namespace

int64_t count_frames(const CodecSpec& codec, const Audio& audio) {
  if (audio.sample_rate_hz < 1) return 0;
  const auto up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  const int64_t n_samples = up(static_cast<int64_t>(audio.samples.size()) * codec.sample_rate_hz, audio.sample_rate_hz);
  return up(n_samples, codec.frame_samples());
}

Codes first_codebooks(const Codes& codes, int n, const std::string& what) {
  if (codes.n_codebooks < n) {
    fail(ErrorCode::kInvalidArgument, "{} {} codebooks, but the model speaks {}; encode it with all of them", what,
         codes.n_codebooks, n);
  }
  Codes cut;
  cut.n_codebooks = n;
  cut.ids.reserve(static_cast<size_t>(codes.n_frames()) * static_cast<size_t>(n));
  for (int frame = 0; frame < codes.n_frames(); ++frame) {
    const auto row = codes.ids.begin() + static_cast<ptrdiff_t>(frame) * codes.n_codebooks;
    cut.ids.insert(cut.ids.end(), row, row + n);
  }
  return cut;
}

Codes encode_audio(LoadedModel& model, const Audio& audio, int n_codebooks, const CancelToken& cancel) {
  const CodecSpec& codec = model.spec.codec;
  if (n_codebooks < 0 || n_codebooks > codec.n_codebooks) {
    fail(ErrorCode::kInvalidArgument, "{} codebooks asked for; the codec has 1 to {} (0 = all)", n_codebooks,
         codec.n_codebooks);
  }
  check_sound(audio);
  const bool same_rate = audio.sample_rate_hz == codec.sample_rate_hz;
  const Audio resampled = same_rate ? Audio{} : resample(audio, codec.sample_rate_hz);
  const std::span<const float> samples = same_rate ? audio.samples : resampled.samples;

  Codes codes;
  codes.n_codebooks = codec.n_codebooks;
  const auto encoder = model.codec->new_encoder();
  const size_t step = static_cast<size_t>(kEncodeFrames) * static_cast<size_t>(codec.frame_samples());
  for (size_t begin = 0; begin < samples.size(); begin += step) {
    if (cancel.cancelled()) fail(ErrorCode::kCancelled, "cancelled");
    encoder->push(samples.subspan(begin, std::min(step, samples.size() - begin)), codes.ids);
  }
  encoder->finish(codes.ids);
  return n_codebooks == 0 ? codes : first_codebooks(codes, n_codebooks, "the codec has");
}

Audio decode_codes(LoadedModel& model, const Codes& codes) {
  const CodecSpec& codec = model.spec.codec;
  const auto n_codebooks = static_cast<size_t>(std::max(codes.n_codebooks, 0));
  if (codes.n_codebooks < 1 || codes.n_codebooks > codec.n_codebooks || codes.ids.size() % n_codebooks != 0) {
    fail(ErrorCode::kInvalidArgument,
         "cannot decode {} ids in {} codebooks; expected whole frames of 1 to {} codebooks", codes.ids.size(),
         codes.n_codebooks, codec.n_codebooks);
  }
  for (size_t i = 0; i < codes.ids.size(); ++i) {
    if (codes.ids[i] < 0 || codes.ids[i] >= codec.codebook_size) {
      fail(ErrorCode::kInvalidArgument, "cannot decode: frame {}, codebook {} has code {}; the codec has 0 to {}",
           i / n_codebooks, i % n_codebooks, codes.ids[i], codec.codebook_size - 1);
    }
  }
  Audio audio;
  audio.sample_rate_hz = codec.sample_rate_hz;
  audio.samples.reserve(static_cast<size_t>(codes.n_frames()) * static_cast<size_t>(codec.frame_samples()));
  const auto decoder = model.codec->new_decoder();
  for (size_t first = 0; first < codes.ids.size(); first += n_codebooks) {
    decoder->push(std::span(codes.ids).subspan(first, n_codebooks), codes.n_codebooks, audio.samples);
  }
  return audio;
}

}  // namespace csm
