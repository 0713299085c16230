// The one file that knows whether a way to the sound card is built in.
#include <csm/playback.h>

#include "base/fail.h"

#ifdef CSM_HAVE_PORTAUDIO

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

#include "audio/rate_converter.h"
#include "playback/playback_buffer.h"
#include "playback/portaudio/portaudio_device.h"

namespace csm {
namespace {

constexpr int kRounds = 20;
constexpr std::chrono::milliseconds kRound(5);  // that many of them are a tenth of a second

class PortAudioPlayer : public Player {
 public:
  explicit PortAudioPlayer(int sample_rate_hz)
      : rate_hz_(device_.takes(sample_rate_hz) ? sample_rate_hz : device_.own_rate_hz()),
        converter_(sample_rate_hz, rate_hz_),
        buffer_(rate_hz_) {
    device_.start(rate_hz_, [this](std::span<float> block) { return buffer_.fill(block); });
  }

  ~PortAudioPlayer() override { device_.stop(); }  // before the buffer that its thread reads goes away

  size_t push(std::span<const float> samples) override {
    if (std::any_of(samples.begin(), samples.end(), [](float sample) { return !std::isfinite(sample); })) {
      fail(ErrorCode::kInvalidArgument, "cannot play a sample that is not finite");
    }
    if (!waiting_.empty()) give(Wait::kYes);
    if (!waiting_.empty()) return 0;
    converter_.push(samples, waiting_);
    give(Wait::kNo);
    return samples.size();
  }

  void finish() override {
    converter_.finish(waiting_);
    finishing_ = true;
    give(Wait::kNo);
  }

  bool heard_all() override {
    if (!waiting_.empty()) give(Wait::kYes);
    for (int round = 0; round < kRounds && device_.is_active(); ++round) std::this_thread::sleep_for(kRound);
    if (!device_.is_active() && !(waiting_.empty() && buffer_.is_empty())) fail_stopped();
    return !device_.is_active();
  }

  int n_pauses() const override { return buffer_.n_pauses(); }
  std::string device() const override { return device_.name(); }

 private:
  enum class Wait { kNo, kYes };

  [[noreturn]] void fail_stopped() const { fail(ErrorCode::kIo, "cannot play: '{}' has stopped", device_.name()); }

  // What waits goes into the buffer as far as there is room.
  void give(Wait wait) {
    for (int round = 0;; ++round) {
      const size_t n = buffer_.push(waiting_);
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(n));
      if (waiting_.empty() || wait == Wait::kNo || round == kRounds) break;
      if (!device_.is_active()) fail_stopped();
      std::this_thread::sleep_for(kRound);
    }
    if (finishing_ && waiting_.empty()) buffer_.finish();
  }

  PortAudioDevice device_;
  int rate_hz_;
  RateConverter converter_;
  PlaybackBuffer buffer_;
  std::vector<float> waiting_;  // at the device's rate
  bool finishing_ = false;
};

}  // namespace

std::unique_ptr<Player> Player::open(int sample_rate_hz) { return std::make_unique<PortAudioPlayer>(sample_rate_hz); }

}  // namespace csm

#else

namespace csm {

std::unique_ptr<Player> Player::open(int) {
  fail(ErrorCode::kUnsupported, "cannot play: csm.cpp was built without PortAudio; build it with -DCSM_PORTAUDIO=ON");
}

}  // namespace csm

#endif
