// What `csm doctor` reports about this machine, and where the bundled model is looked for.
#include <algorithm>
#include <cstdlib>
#include <optional>

#include "backends/registry.h"
#include "engine_test.h"

namespace csm::test {
namespace {

// $CSM_MODEL for the time of a test.
class ModelVariable {
 public:
  explicit ModelVariable(const char* value) {
    if (const char* old = std::getenv("CSM_MODEL")) before_ = old;
    if (value != nullptr) {
      ::setenv("CSM_MODEL", value, 1);
    } else {
      ::unsetenv("CSM_MODEL");
    }
  }
  ~ModelVariable() {
    if (before_) {
      ::setenv("CSM_MODEL", before_->c_str(), 1);
    } else {
      ::unsetenv("CSM_MODEL");
    }
  }

 private:
  std::optional<std::string> before_;
};

TEST(BundledModel, IsFoundInTheSourceTree) {
  const ModelVariable none(nullptr);
  EXPECT_EQ(bundled_model_path(), std::string(CSM_MODELS_DIR) + "/demo");
}

TEST(BundledModel, TheVariableWins) {
  const ModelVariable chosen("/some/where else");
  EXPECT_EQ(bundled_model_path(), "/some/where else") << "even when it is wrong, so that opening says so";
  const ModelVariable empty("");
  EXPECT_EQ(bundled_model_path(), std::string(CSM_MODELS_DIR) + "/demo");
}

TEST(Doctor, ReportsThisMachine) {
  const ModelVariable none(nullptr);
  const SystemReport report = doctor();
  EXPECT_FALSE(report.csm_version.empty());
  EXPECT_FALSE(report.compiler.empty());
  EXPECT_FALSE(report.operating_system.empty());
  EXPECT_GE(report.n_physical_cores, 1);
  EXPECT_GE(report.n_logical_cores, report.n_physical_cores);
  EXPECT_GT(report.memory_bytes, 1u << 20);
  EXPECT_FALSE(report.cpu_features.empty());
  std::string libraries;
  for (const auto& [name, version] : report.libraries) {
    libraries += name + " ";
    EXPECT_FALSE(version.empty()) << name;
  }
  for (const char* name : {"ggml", "libsndfile", "fmt", "nlohmann-json"})
    EXPECT_TRUE(contains(libraries, name)) << name;
  const std::vector<std::string> names = backend_names();
  ASSERT_FALSE(report.devices.empty());
  for (const DeviceReport& device : report.devices) {
    EXPECT_EQ(std::count(names.begin(), names.end(), device.backend), 1) << device.backend;
    EXPECT_FALSE(device.name.empty());
  }
  ASSERT_FALSE(report.audio_formats.empty());
  EXPECT_EQ(report.audio_formats[0], "wav");
  EXPECT_FALSE(report.bundled_model.empty());
  EXPECT_TRUE(report.problems.empty()) << report.problems[0];
}

TEST(Doctor, NamesWhatIsWrong) {
  const ModelVariable wrong("/no/such/model");
  const SystemReport report = doctor();
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_TRUE(contains(report.problems[0], "the bundled model cannot be used")) << report.problems[0];
  EXPECT_TRUE(contains(report.problems[0], "/no/such/model")) << report.problems[0];
}

TEST(Registry, KnowsItsBackends) {
  const std::vector<std::string> names = backend_names();
  ASSERT_FALSE(names.empty());
  EXPECT_EQ(make_backend("auto")->name(), names[0]);
  for (const std::string& name : names) EXPECT_EQ(make_backend(name)->name(), name);
  const std::string message = error_of(ErrorCode::kInvalidArgument, [] { make_backend("abacus"); });
  EXPECT_TRUE(contains(message, "'abacus'")) << message;
  for (const std::string& name : names) EXPECT_TRUE(contains(message, name)) << message;
}

}  // namespace
}  // namespace csm::test
