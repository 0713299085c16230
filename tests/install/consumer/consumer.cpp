// Speaks with the installed library and model, and checks that every part of it comes from the prefix it is told.
// Usage: consumer PREFIX out.wav
#include <csm/csm.h>

#include <cstdio>
#include <fstream>
#include <string>

namespace {

// Libraries of ggml and csm that this process has loaded from elsewhere (Linux; nothing is said where /proc is missing).
int count_strangers(const std::string& prefix) {
  int n_strangers = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const size_t path = line.find('/');
    const bool ours = line.find("libggml") != std::string::npos || line.find("libcsm") != std::string::npos;
    if (path == std::string::npos || !ours || line.compare(path, prefix.size(), prefix) == 0) continue;
    std::fprintf(stderr, "loaded from outside the prefix: %s\n", line.c_str() + path);
    ++n_strangers;
  }
  return n_strangers;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  csm::EngineOptions options;
  options.model = CSM_CONSUMER_MODELS_DIR "/demo";
  options.n_threads = 1;
  csm::SpeechRequest request;
  request.text = "Good morning.";
  const csm::SpeechResult result = csm::Engine::open(options)->synthesize(request, {});
  csm::write_audio(argv[2], result.audio, csm::SampleFormat::kInt16);
  std::printf("%.2f s of speech\n", result.audio.seconds());
  const csm::Audio read = csm::read_audio(argv[2]);
  const bool spoke = read.seconds() > 0.3 && read.seconds() < 5 && read.samples.size() == result.audio.samples.size();
  return spoke && count_strangers(argv[1]) == 0 ? 0 : 1;
} catch (const csm::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
