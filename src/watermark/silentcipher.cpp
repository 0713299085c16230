// SilentCipher as a user has it (csm/silentcipher.h).
#include <csm/silentcipher.h>

#include <algorithm>
#include <limits>
#include <span>
#include <thread>

#include "audio/audio_io.h"
#include "base/fail.h"
#include "watermark/silentcipher_message.h"
#include "watermark/silentcipher_stages.h"

namespace csm {
namespace {

using namespace cipher;

constexpr double kMaxSeconds = 600;
constexpr int kMaxThreads = 1024;
constexpr int kSearchStep = 10;     // of the exhaustive search, as the reference has it
constexpr int kCoarseStep = 256;    // of the search for a known message, which is refined to
constexpr int kFineStep = 32;

int threads_of(int n_threads) {
  if (n_threads < 0 || n_threads > kMaxThreads) {
    fail(ErrorCode::kInvalidArgument, "threads is {}; expected 0 (the processor's) to {}", n_threads, kMaxThreads);
  }
  return n_threads > 0 ? n_threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void check_sound(const Audio& audio) {
  if (audio.seconds() > kMaxSeconds) {
    fail(ErrorCode::kResourceLimit, "the sound has {:.0f} s; SilentCipher works on whole utterances of at most {:.0f} s: cut it", audio.seconds(),
         kMaxSeconds);
  }
}

}  // namespace

class SilentCipher::Impl {
 public:
  explicit Impl(SilentCipherModel model) : model_(std::move(model)) {}

  bool can_read() const { return !model_.message_decoder.layers.empty(); }

  Audio embed(const Audio& audio, const SilentCipherEmbedOptions& options) const {
    options.validate();
    check_sound(audio);
    if (audio.samples.empty()) return audio;
    const Audio wide = resample(audio, kCipherRateHz);
    const double gain = cipher_gain(wide.samples);
    if (gain == 0) return audio;
    CipherSpectrum spectrum = cipher_spectrum(wide.samples, gain);
    apply_residual(spectrum, carrier_residual(model_, spectrum, options.message, threads_of(options.n_threads)), model_.encoder.n_linear_out,
                   options.sdr_db);
    Audio marked;
    marked.sample_rate_hz = kCipherRateHz;
    marked.samples = cipher_samples(spectrum, gain);
    marked = resample(marked, audio.sample_rate_hz);
    marked.samples.resize(audio.samples.size(), 0.f);
    return marked;
  }

  SilentCipherReading read(const Audio& audio, const SilentCipherReadOptions& options) const {
    const Audio wide = prepare(audio);
    const double gain = cipher_gain(wide.samples);
    CipherVote best;
    best.score = -1;
    const int n_places = options.search == SilentCipherSearch::kNone ? 1 : (kCipherHop + kSearchStep - 1) / kSearchStep;
    for (int i = 0; i < n_places && gain != 0; ++i) {
      const std::vector<float> logits = logits_at(wide, gain, i * kSearchStep, options);
      if (logits.empty()) break;
      CipherVote one = vote(most_likely(logits));
      one.reading.shift_samples = i * kSearchStep;
      if (one.score > best.score) best = one;
    }
    return best.reading;
  }

  SilentCipherFinding find(const Audio& audio, const SilentCipherMessage& message, double target, const SilentCipherReadOptions& options) const {
    if (!(target > 0 && target < 1)) fail(ErrorCode::kInvalidArgument, "the false-positive target is {}; expected more than 0 and less than 1", target);
    const Audio wide = prepare(audio);
    const double gain = cipher_gain(wide.samples);
    SilentCipherFinding best;
    best.z = -std::numeric_limits<double>::infinity();
    const auto try_at = [&](int shift) {
      const std::vector<float> logits = logits_at(wide, gain, shift, options);
      if (logits.empty()) return;
      ++best.n_passes;
      const double z = cipher_z(logits, message);
      if (z <= best.z) return;
      best.z = z;
      best.shift_samples = shift;
    };
    const auto is_found = [&] {
      best.false_positive_probability = cipher_chance(best.z, std::max(1, best.n_passes) * kCipherTile);
      return best.false_positive_probability <= target;
    };
    if (gain != 0) try_at(0);
    if (gain != 0 && !is_found()) {
      for (int shift = kCoarseStep; shift < kCipherHop; shift += kCoarseStep) try_at(shift);
      for (int step = kCoarseStep / 2; step >= kFineStep; step /= 2) {
        const int centre = best.shift_samples;
        if (centre >= step) try_at(centre - step);
        try_at(centre + step);
      }
    }
    best.found = is_found();
    if (best.n_passes == 0) best.z = 0;
    return best;
  }

 private:
  Audio prepare(const Audio& audio) const {
    if (!can_read()) {
      fail(ErrorCode::kUnsupported, "SilentCipher's marks cannot be read without its message decoder: put dec_m_0.ckpt beside enc_c.ckpt");
    }
    check_sound(audio);
    return audio.samples.empty() ? audio : resample(audio, kCipherRateHz);
  }

  // Empty when too little of the sound is left for one tile.
  std::vector<float> logits_at(const Audio& wide, double gain, int shift, const SilentCipherReadOptions& options) const {
    if (options.keep_going && !options.keep_going()) fail(ErrorCode::kCancelled, "interrupted");
    if (wide.samples.size() <= static_cast<size_t>(shift)) return {};
    const CipherSpectrum spectrum = cipher_spectrum(std::span(wide.samples).subspan(static_cast<size_t>(shift)), gain);
    if (spectrum.n_frames < kCipherTile) return {};
    return message_logits(model_, spectrum, threads_of(options.n_threads));
  }

  static std::vector<int> most_likely(const std::vector<float>& logits) {
    std::vector<int> symbols;
    for (size_t i = 0; i < logits.size(); i += kCipherSymbols) {
      const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(i);
      symbols.push_back(static_cast<int>(std::max_element(begin, begin + kCipherSymbols) - begin));
    }
    return symbols;
  }

  SilentCipherModel model_;
};

void SilentCipherEmbedOptions::validate() const {
  if (!(sdr_db >= 0 && sdr_db <= 120)) fail(ErrorCode::kInvalidArgument, "sdr is {} dB; expected 0 to 120", sdr_db);
  (void)threads_of(n_threads);
}

SilentCipher::SilentCipher(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
SilentCipher::~SilentCipher() = default;

std::shared_ptr<const SilentCipher> SilentCipher::open(const std::string& directory) {
  auto impl = std::make_unique<const Impl>(read_silentcipher_model(find_silentcipher_files(directory)));
  return std::shared_ptr<const SilentCipher>(new SilentCipher(std::move(impl)));
}

bool SilentCipher::can_read() const { return impl_->can_read(); }

Audio SilentCipher::embed(const Audio& audio, const SilentCipherEmbedOptions& options) const { return impl_->embed(audio, options); }

void SilentCipher::embed_file(const std::string& from, const std::string& to, SampleFormat format,
                              const SilentCipherEmbedOptions& options) const {
  ChannelAudio audio = read_audio_channels(from);
  for (std::vector<float>& channel : audio.channels) {
    channel = embed({.samples = std::move(channel), .sample_rate_hz = audio.sample_rate_hz}, options).samples;
  }
  write_audio_channels(to, audio, format);
}

SilentCipherReading SilentCipher::read(const Audio& audio, const SilentCipherReadOptions& options) const { return impl_->read(audio, options); }

SilentCipherFinding SilentCipher::find(const Audio& audio, const SilentCipherMessage& message, double false_positive_target,
                                       const SilentCipherReadOptions& options) const {
  return impl_->find(audio, message, false_positive_target, options);
}

}  // namespace csm
