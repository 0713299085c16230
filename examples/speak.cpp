// A sentence becomes a sound file.
//   example_speak [OUT.wav [MODEL]]
#include <csm/csm.h>

#include <cstdio>

int main(int argc, char** argv) try {
  csm::EngineOptions options;
  options.model = argc > 2 ? argv[2] : csm::bundled_model_path();
  const auto engine = csm::Engine::open(options);

  csm::SpeechRequest request;
  request.text = "Good morning. It is nice to meet you.";
  request.speaker = 0;
  request.seed = 7;
  request.max_seconds = 6;
  const csm::SpeechResult speech = engine->synthesize(request, {});

  const char* path = argc > 1 ? argv[1] : "speak.wav";
  csm::write_audio(path, speech.audio, csm::SampleFormat::kInt16);
  std::printf("%s: %.2f s, %d frames, %s, %.1f times faster than real time\n", path, speech.audio.seconds(),
              speech.stats.n_frames, csm::to_string(speech.stats.finish_reason), 1 / speech.stats.real_time_factor);
  return 0;
} catch (const csm::Error& error) {
  std::fprintf(stderr, "example_speak: %s\n", error.what());
  return 1;
}
