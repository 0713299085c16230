// MLX directories: what is written is read again with the same numbers, by every backend.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "backends/registry.h"
#include "csm/convert.h"
#include "csm/engine.h"
#include "engine/loader.h"
#include "golden/golden.h"
#include "io/json.h"

namespace csm::test {
namespace {

namespace fs = std::filesystem;

class MlxConversion : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string out(const std::string& name) const { return (root_ / name).string(); }
  // Logits of the model's greedy path, or along forced codes.
  static Trace trace(const std::string& model, const std::string& backend, const std::optional<Codes>& forced = {}) {
    EngineOptions options;
    options.model = model;
    options.backend = backend;
    options.n_threads = 1;
    const auto engine = Engine::open(options);
    TraceRequest request;
    SpeechRequest speech;
    speech.text = "hello there";
    request.prompt = engine->prompt(speech);
    request.forced = forced;
    request.max_frames = 3;
    return engine->trace(request);
  }

  fs::path root_ = fs::path(::testing::TempDir()) /
                   ("csm_mlx_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
};

TEST_F(MlxConversion, Float32KeepsEveryNumber) {
  for (const char* name : {"csm-tiny-b", "csm-tiny-f/hf-f32", "csm-tiny-f/original", "csm-tiny-f/hf-sharded-bf16"}) {
    const std::string source = kData + "/ckpt/" + name;
    const std::string directory = out("f32_" + std::to_string(std::hash<std::string>{}(name)));
    MlxConvertOptions options;
    options.dtype = "f32";
    const ConvertReport report = convert_to_mlx(source, directory, options);
    EXPECT_GT(report.n_tensors, 0);
    EXPECT_EQ(report.n_quantised, 0);
    const auto before = load_checkpoint(find_model_files(source));
    const auto after = load_checkpoint(find_model_files(directory));
    ASSERT_EQ(after->names(), before->names()) << name;
    for (const std::string& tensor : before->names()) {
      const auto values = [&](const Checkpoint& checkpoint) {
        const TensorInfo& info = checkpoint.tensor(tensor);
        std::vector<float> result(static_cast<size_t>(info.n_elements()));
        widen_to_f32(info.type, info.fetch().data.data(), result.size(), result.data());
        return result;
      };
      EXPECT_EQ(values(*after), values(*before)) << name << " " << tensor;
    }
    EXPECT_EQ(after->warnings(), std::vector<std::string>());
  }
}

TEST_F(MlxConversion, QuantisedModelsSpeakInEveryBackend) {
  const std::string demo = CSM_MODELS_DIR "/demo";
  const Trace reference = trace(demo, backend_names().front());
  const std::pair<const char*, float> cases[] = {{"8", 1.0f}, {"backbone=8,depth=6", 2.5f}, {"4", 12.0f}, {"3", 30.0f}};
  float previous = 0;
  for (const auto& [bits, limit] : cases) {
    MlxConvertOptions options;
    options.quantize = bits;
    options.dtype = "f32";
    int n_reports = 0;
    options.on_progress = [&](const ConvertProgress& progress) {
      EXPECT_LE(progress.bytes_done, progress.bytes_total);
      ++n_reports;
      return true;
    };
    const std::string directory = out(std::string("demo_") + bits);
    const ConvertReport report = convert_to_mlx(demo, directory, options);
    EXPECT_GT(report.n_quantised, 40);
    EXPECT_GT(n_reports, report.n_tensors);
    const auto config = parse_json_file(directory + "/config.json", 1 << 20);
    EXPECT_EQ(config.at("quantization").at("group_size"), 64);
    std::vector<std::vector<float>> logits;
    for (const std::string& backend : backend_names())
      logits.push_back(trace(directory, backend, reference.codes).logits);
    for (const auto& found : logits)
      EXPECT_LE(max_difference(found, logits.front()), 1e-3f) << bits << ": the same weights, the same numbers";
    const float difference = max_difference(logits.front(), reference.logits);
    EXPECT_LE(difference, limit) << bits;
    EXPECT_GT(difference, previous) << bits << " bits are coarser than those before";
    previous = difference;
  }
}

TEST_F(MlxConversion, PublishedFormsAreRead) {
  // mlx-audio puts "model." before every name; the mapping file does so here.
  const std::string names = out("names.json");
  std::ofstream(names) << R"({"backbone_model.embed_tokens.embed_audio_tokens.weight": "model.audio_embeddings.weight",
    "embed_text_tokens": "model.text_embeddings", "lm_head": "model.codebook0_head", "depth_decoder.codebooks_head.weight": "model.audio_head",
    "depth_decoder.model.inputs_embeds_projector": "model.projection", "backbone_model.": "model.backbone.", "depth_decoder.model.": "model.decoder."})";
  MlxConvertOptions options;
  options.dtype = "f32";
  options.names_file = names;
  const std::string source = kData + "/ckpt/csm-tiny-f/hf-f32";
  convert_to_mlx(source, out("prefixed"), options);
  const auto tensors = read_safetensors(out("prefixed") + "/model.safetensors");
  EXPECT_TRUE(std::all_of(tensors.begin(), tensors.end(),
                          [](const TensorInfo& tensor) { return tensor.name.rfind("model.", 0) == 0; }));
  const Trace expected = trace(source, backend_names().front());
  EXPECT_EQ(trace(out("prefixed"), backend_names().front()).logits, expected.logits);
}

TEST_F(MlxConversion, DamagedQuantisedFilesAreRefused) {
  MlxConvertOptions options;
  options.quantize = "4";
  convert_to_mlx(CSM_MODELS_DIR "/demo", out("demo"), options);
  const std::string path = out("demo") + "/model.safetensors";
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  // The biases of one matrix are gone under their name.
  const std::string name = "backbone.layers.0.mlp.down_proj.biases";
  const size_t at = bytes.find(name);
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, name.size(), "backbone.layers.0.mlp.down_proj.biasex");
  std::ofstream(path, std::ios::binary) << bytes;
  try {
    load_checkpoint(find_model_files(out("demo")));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidData);
    EXPECT_NE(std::string(error.what()).find("backbone.layers.0.mlp.down_proj.weight"), std::string::npos)
        << error.what();
  }
}

TEST_F(MlxConversion, OptionsAndPlacesAreChecked) {
  const std::string source = kData + "/ckpt/csm-tiny-f/hf-f32";
  const auto code_of = [&](auto&& change, const std::string& directory) {
    MlxConvertOptions options;
    change(options);
    try {
      convert_to_mlx(source, directory, options);
    } catch (const Error& error) {
      EXPECT_FALSE(fs::exists(directory + ".partial"));
      return error.code();
    }
    return ErrorCode::kIo;
  };
  EXPECT_EQ(code_of([](auto& options) { options.dtype = "int4"; }, out("a")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([](auto& options) { options.quantize = "7"; }, out("a")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([](auto& options) { options.quantize = "mimi=4"; }, out("a")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([](auto& options) { options.group_size = 48; }, out("a")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([](auto& options) { options.names_file = "/no/such/file"; }, out("a")), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([](auto& options) { options.quantize = "4"; }, out("a")), ErrorCode::kUnsupported)
      << "rows of 32 and 16 elements";
  EXPECT_EQ(code_of([](auto& options) { options.on_progress = [](const auto&) { return false; }; }, out("a")),
            ErrorCode::kCancelled);
  EXPECT_EQ(code_of([](auto&) {}, source), ErrorCode::kInvalidArgument) << "a directory that is not empty";
  EXPECT_FALSE(fs::exists(out("a")));
}

}  // namespace
}  // namespace csm::test
