// Samples arrive while the rest is still being made; the listener stops after three seconds.
//   example_stream [OUT.wav [MODEL]]
#include <csm/csm.h>

#include <cstdio>
#include <fstream>

int main(int argc, char** argv) try {
  csm::EngineOptions options;
  options.model = argc > 2 ? argv[2] : csm::bundled_model_path();
  const auto engine = csm::Engine::open(options);

  csm::SpeechRequest request;
  request.text = "Sound comes out of here long before the sentence has been spoken to its very end.";
  const auto stream = engine->start(request);

  // A player would go here. A file that grows needs a header without a length, as a pipe does.
  std::ofstream file(argc > 1 ? argv[1] : "stream.wav", std::ios::binary);
  file << csm::wav_stream_header(engine->sample_rate_hz(), csm::SampleFormat::kInt16);
  std::vector<float> samples;
  size_t n_samples = 0;
  while (stream->next(samples)) {
    file << csm::wav_sample_bytes(samples.data(), samples.size(), csm::SampleFormat::kInt16);
    n_samples += samples.size();
    if (n_samples >= 3 * static_cast<size_t>(engine->sample_rate_hz())) stream->cancel();  // next() then runs out
  }
  const csm::SpeechStats stats = stream->result().stats;
  std::printf("first samples after %.0f ms, %.2f s in all, %s\n", stats.first_audio_ms, stats.audio_seconds,
              csm::to_string(stats.finish_reason));
  return file.flush() ? 0 : 1;
} catch (const csm::Error& error) {
  std::fprintf(stderr, "example_stream: %s\n", error.what());
  return 1;
}
