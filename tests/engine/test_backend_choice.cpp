// Which backend an engine gets when one of them does not start. The backends and models are real; the failures are
// staged.
#include <gtest/gtest.h>

#include "backends/registry.h"
#include "base/fail.h"
#include "csm/engine.h"
#include "engine/backend_choice.h"
#include "golden/golden.h"

namespace csm::test {
namespace {

// A name twice stands for two backends where only one is built in.
std::vector<std::string> two_names() { return {backend_names().front(), backend_names().back()}; }

TEST(BackendChoice, TheFirstThatLoadsIsTaken) {
  std::vector<std::string> notes;
  int n_loads = 0;
  const auto backend = open_first_backend(
      two_names(), [&](Backend&) { ++n_loads; }, notes);
  EXPECT_EQ(backend->name(), two_names().front());
  EXPECT_EQ(n_loads, 1);
  EXPECT_TRUE(notes.empty());
}

TEST(BackendChoice, TheNextTakesOverAndSaysWhy) {
  for (const ErrorCode code : {ErrorCode::kUnsupported, ErrorCode::kResourceLimit, ErrorCode::kInternal}) {
    std::vector<std::string> notes;
    int n_loads = 0;
    const auto load = [&](Backend&) {
      if (++n_loads == 1) fail(code, "no device here");
    };
    const auto backend = open_first_backend(two_names(), load, notes);
    EXPECT_EQ(backend->name(), two_names().back());
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_NE(notes[0].find(two_names().front()), std::string::npos) << notes[0];
    EXPECT_NE(notes[0].find("no device here"), std::string::npos) << notes[0];
    EXPECT_EQ(notes[0].find('\n'), std::string::npos);
  }
}

TEST(BackendChoice, ABrokenModelIsBrokenForAll) {
  std::vector<std::string> notes;
  int n_loads = 0;
  const auto load = [&](Backend&) {
    ++n_loads;
    fail(ErrorCode::kInvalidData, "a tensor is missing");
  };
  EXPECT_THROW(open_first_backend(two_names(), load, notes), Error);
  EXPECT_EQ(n_loads, 1);
}

TEST(BackendChoice, TheLastErrorIsThrown) {
  std::vector<std::string> notes;
  const auto load = [](Backend& backend) { fail(ErrorCode::kUnsupported, "not on {}", backend.name()); };
  try {
    open_first_backend(two_names(), load, notes);
    FAIL() << "nothing could be loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_EQ(error.what(), "not on " + two_names().back());
  }
}

TEST(BackendChoice, AnEngineSaysWhichOneItHas) {
  EngineOptions options;
  options.model = kData + "/ckpt/nano";
  options.n_threads = 1;
  const auto engine = Engine::open(options);
  EXPECT_EQ(engine->backend(), backend_names().front());
  EXPECT_TRUE(engine->notes().empty());
  for (const std::string& name : backend_names()) {
    options.backend = name;
    EXPECT_EQ(Engine::open(options)->backend(), name);
  }
  options.device = "no such device";
  for (const std::string& name : backend_names()) {
    options.backend = name;
    EXPECT_THROW(Engine::open(options), Error) << name << ": asked for by name, nothing takes over";
  }
}

}  // namespace
}  // namespace csm::test
