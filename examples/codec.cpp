// Any sound -> codes of the codec -> sound again, with all codebooks and with half of them.
//   example_codec [IN.wav OUT.wav [MODEL]]; without a file it takes a tone that rises for two seconds
#include <csm/csm.h>

#include <cmath>
#include <cstdio>

namespace {

csm::Audio rising_tone() {
  csm::Audio audio;
  audio.sample_rate_hz = 44'100;  // any rate: it is resampled
  double phase = 0;
  for (int i = 0; i < 2 * audio.sample_rate_hz; ++i) {
    phase += 2 * 3.14159265 * (200 + 200.0 * i / audio.sample_rate_hz) / audio.sample_rate_hz;
    audio.samples.push_back(static_cast<float>(0.3 * std::sin(phase)));
  }
  return audio;
}

}  // namespace

int main(int argc, char** argv) try {
  csm::EngineOptions options;
  options.model = argc > 3 ? argv[3] : csm::bundled_model_path();
  const auto engine = csm::Engine::open(options);

  const csm::Audio input = argc > 1 ? csm::read_audio(argv[1]) : rising_tone();
  for (const int n_codebooks : {engine->n_codebooks(), (engine->n_codebooks() + 1) / 2}) {
    const csm::Codes codes = engine->encode(input, n_codebooks);
    const csm::Audio output = engine->decode(codes);
    std::printf("%.2f s -> %d frames of %d codes -> %.2f s\n", input.seconds(), codes.n_frames(), codes.n_codebooks,
                output.seconds());
    if (n_codebooks == engine->n_codebooks()) {
      csm::write_audio(argc > 2 ? argv[2] : "codec.wav", output, csm::SampleFormat::kFloat32);
    }
  }
  return 0;
} catch (const csm::Error& error) {
  std::fprintf(stderr, "example_codec: %s\n", error.what());
  return 1;
}
