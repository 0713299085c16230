// Two speakers take turns; each new turn hears all that was said before. Progress goes to stderr.
//   example_conversation [OUT.wav [MODEL]]
#include <csm/csm.h>

#include <cstdio>

int main(int argc, char** argv) try {
  csm::EngineOptions options;
  options.model = argc > 2 ? argv[2] : csm::bundled_model_path();
  const auto engine = csm::Engine::open(options);

  csm::Audio whole;
  whole.sample_rate_hz = engine->sample_rate_hz();
  csm::SpeechRequest request;
  request.max_seconds = 4;
  const char* lines[] = {"Where did you put the keys?", "They are on the table.", "Thank you very much."};
  for (const char* line : lines) {
    request.text = line;
    const csm::SpeechResult turn = engine->synthesize(request, [](const csm::SpeechProgress& progress) {
      std::fprintf(stderr, "\r%.1f s", progress.audio_seconds);
      return true;  // false would stop here
    });
    std::fprintf(stderr, "\r%.1f s  %s\n", turn.audio.seconds(), line);
    whole.samples.insert(whole.samples.end(), turn.audio.samples.begin(), turn.audio.samples.end());

    // Its codes are what the model itself said; a recording would go in as `audio`. A turn without sound is left out.
    if (turn.codes.n_frames() > 0) request.context.push_back({request.speaker, line, std::nullopt, turn.codes});
    request.speaker = 1 - request.speaker;
  }
  csm::write_audio(argc > 1 ? argv[1] : "conversation.wav", whole, csm::SampleFormat::kInt16);
  return 0;
} catch (const csm::Error& error) {
  std::fprintf(stderr, "example_conversation: %s\n", error.what());
  return 1;
}
