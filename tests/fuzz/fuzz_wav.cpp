// Any bytes given as an audio file end in usable audio or in csm::Error.
#include <csm/error.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "audio/audio_io.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  try {
    const csm::Audio audio = csm::read_audio_bytes(std::as_bytes(std::span(data, n_bytes)), "input");
    if (audio.samples.empty() || audio.sample_rate_hz < csm::kMinSampleRateHz) std::abort();
    for (const float sample : audio.samples) {
      if (!std::isfinite(sample)) std::abort();
    }
    constexpr size_t kFewSamples = 1 << 14;  // keeps the search fast
    if (audio.samples.size() <= kFewSamples) (void)csm::resample(audio, 24'000);
  } catch (const csm::Error&) {
  }
  return 0;
}
