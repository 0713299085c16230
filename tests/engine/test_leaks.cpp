// Memory stays flat over many utterances and codec streams, with every backend.
#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>

#include "backends/registry.h"
#include "csm/engine.h"
#include "golden/golden.h"

namespace csm::test {
namespace {

constexpr int kUtterances = 200;
constexpr int kWarmUp = 40;                        // caches and allocators reach their size
constexpr int64_t kSlackBytes = int64_t{6} << 20;  // of malloc's own pools; a leak of one frame's buffers would be more

// Sanitizers keep freed memory back, and LeakSanitizer looks for leaks itself.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

// Resident memory of this process; 0 where the system does not tell it this way.
int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  if (!(file >> total >> resident)) return 0;
  return resident * ::sysconf(_SC_PAGESIZE);
}

class Leaks : public ::testing::TestWithParam<std::string> {};

TEST_P(Leaks, MemoryIsFlatOverManyUtterances) {
  if (kSanitized || resident_bytes() == 0) GTEST_SKIP() << "resident memory says nothing here";
  EngineOptions options;
  options.model = kData + "/ckpt/csm-tiny-f/hf-f32";
  options.backend = GetParam();
  options.n_threads = 1;
  const auto engine = Engine::open(options);
  int64_t before = 0;
  for (int i = 0; i < kUtterances; ++i) {
    SpeechRequest request;
    request.text = "hi";
    request.seed = static_cast<uint64_t>(i);
    request.max_seconds = 0.32;
    request.min_frames = 4;
    const SpeechResult result = engine->synthesize(request, {});
    EXPECT_EQ(result.codes.n_frames(), 4);
    const int n_encoded = i % 10 == 0 ? engine->encode(result.audio, 0).n_frames() : 4;
    EXPECT_EQ(n_encoded, 4);
    if (i + 1 == kWarmUp) before = resident_bytes();
  }
  EXPECT_LE(resident_bytes() - before, kSlackBytes);
}

INSTANTIATE_TEST_SUITE_P(All, Leaks, ::testing::ValuesIn(backend_names()), [](const auto& info) { return info.param; });

}  // namespace
}  // namespace csm::test
