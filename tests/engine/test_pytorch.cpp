// PyTorch files as a user meets them: the same logits, bit for bit, and the same samples as from safetensors, in all that opens a model.
#include <csm/convert.h>
#include <csm/csm.h>
#include <csm/inspect.h>

#include "engine/loader.h"
#include "io/json.h"
#include "io/pytorch_files.h"
#include "io/tensor_file.h"
#include "model_directory.h"

namespace csm::test {
namespace {

const std::string kOriginal = kCheckpoints + "csm-tiny-f/original/";

std::shared_ptr<Engine> open(const std::string& model) {
  EngineOptions options;
  options.model = model;
  options.n_threads = 1;
  options.dtype = "f32";
  return Engine::open(options);
}

SpeechRequest greedy_request(const std::string& text) {
  SpeechRequest request;
  request.text = text;
  SamplingOptions greedy;
  greedy.temperature = 0;
  request.backbone_sampling = request.depth_sampling = greedy;
  return request;
}

Trace trace_of(const std::string& model) {
  const auto engine = open(model);
  TraceRequest request;
  request.prompt = engine->prompt(greedy_request("Hello there."));
  request.max_frames = 3;
  return engine->trace(request);
}

void expect_same(const Trace& found, const Trace& expected) {
  EXPECT_EQ(found.codes.ids, expected.codes.ids);
  EXPECT_TRUE(found.logits == expected.logits);
  EXPECT_TRUE(found.hidden == expected.hidden);
}

// As downloaded: the original's .pt, its configuration, Mimi and a tokenizer.
class PyTorchModel : public ::testing::Test {
 protected:
  PyTorchModel() : directory_("csm-tiny-f/original-pt") {
    directory_.add(kOriginal + "tokenizer.json");
    directory_.add(kOriginal + "tokenizer-csm-tiny-f.safetensors");
  }

  // A file of the directory becomes a PyTorch file.
  void rewrite(const std::string& name, const std::string& as) {
    directory_.write(as, archive_of(read_tensor_file(directory_.file(name))));
    directory_.remove(name);
  }

  ModelDirectory directory_;
};

TEST_F(PyTorchModel, OriginalLayout) {
  const Trace expected = trace_of(kOriginal);
  expect_same(trace_of(directory_.path()), expected);
  expect_same(trace_of(directory_.file("ckpt.pt")), expected);
  rewrite("tokenizer-csm-tiny-f.safetensors", "mimi.pt");
  expect_same(trace_of(directory_.path()), expected);
  const Audio speech = open(directory_.path())->synthesize(greedy_request("Hello."), {}).audio;
  EXPECT_EQ(speech.samples, open(kOriginal)->synthesize(greedy_request("Hello."), {}).audio.samples);
}

TEST_F(PyTorchModel, TransformersLayoutInOneFile) {
  const std::string expected = kCheckpoints + "csm-tiny-f/hf-f32";
  ModelDirectory one("csm-tiny-f/hf-f32");
  one.write("pytorch_model.bin", archive_of(read_tensor_file(one.file("model.safetensors"))));
  one.remove("model.safetensors");
  one.write("training_args.bin", "not weights");
  expect_same(trace_of(one.path()), trace_of(expected));
}

TEST_F(PyTorchModel, Shards) {
  ModelDirectory shards("csm-tiny-f/hf-sharded-bf16");
  nlohmann::json index = parse_json_file(shards.file("model.safetensors.index.json"), 1 << 20);
  for (int i = 1; i <= 2; ++i) {
    const std::string from = "transformers-0000" + std::to_string(i) + "-of-00002.safetensors";
    const std::string to = "pytorch_model-0000" + std::to_string(i) + "-of-00002.bin";
    shards.write(to, archive_of(read_tensor_file(shards.file(from))));
    shards.remove(from);
    for (auto& [tensor, shard] : index.at("weight_map").items()) {
      if (shard == from) shard = to;
    }
  }
  shards.remove("model.safetensors.index.json");
  shards.remove("transformers.safetensors.index.json");
  shards.write("pytorch_model.bin.index.json", index.dump());
  const Trace expected = trace_of(kCheckpoints + "csm-tiny-f/hf-bf16");
  expect_same(trace_of(shards.path()), expected);
  expect_same(trace_of(shards.file("pytorch_model-00002-of-00002.bin")), expected);  // a shard stands for its set
  expect_same(trace_of(shards.file("pytorch_model.bin.index.json")), expected);
  index.at("weight_map").begin().value() = "../pytorch_model-00001-of-00002.bin";
  shards.write("pytorch_model.bin.index.json", index.dump());
  EXPECT_TRUE(contains(error_of([&] { find_model_files(shards.path()); }, ErrorCode::kInvalidData), "same directory"));
}

TEST_F(PyTorchModel, Conversion) {
  const Trace expected = trace_of(kOriginal);
  GgufConvertOptions options;
  options.type = "f32";
  convert_to_gguf(directory_.path(), directory_.file("out.gguf"), options);
  expect_same(trace_of(directory_.file("out.gguf")), expected);
  MlxConvertOptions mlx;
  mlx.dtype = "f32";
  convert_to_mlx(directory_.path(), directory_.file("mlx"), mlx);
  expect_same(trace_of(directory_.file("mlx")), expected);
}

TEST_F(PyTorchModel, Inspection) {
  const FileReport model = inspect(directory_.path());
  EXPECT_EQ(model.kind, "csm");
  EXPECT_EQ(model.layout, "original");
  EXPECT_TRUE(model.warnings.empty());
  EXPECT_EQ(inspect(directory_.file("ckpt.pt")).kind, "csm");
  EXPECT_EQ(model.tensors.size(), inspect(kOriginal).tensors.size());
  const FileReport other = inspect(std::string(CSM_TEST_DATA) + "/../../io/pytorch/train.pt");
  EXPECT_EQ(other.kind, "pytorch");
  EXPECT_EQ(other.tensors.size(), 7u);
}

TEST_F(PyTorchModel, HarmfulFilesEndInOneLine) {
  directory_.add(std::string(CSM_TEST_DATA) + "/../../io/pytorch/evil.pt", "ckpt.pt");
  const std::string message = error_of([&] { find_model_files(directory_.path()); }, ErrorCode::kUnsupported);
  EXPECT_TRUE(contains(message, "posix.system") && contains(message, "ckpt.pt")) << message;
  directory_.write("ckpt.pt", archive_of("}"));
  EXPECT_TRUE(contains(error_of([&] { find_model_files(directory_.path()); }, ErrorCode::kInvalidData), "no dict of tensors"));
}

}  // namespace
}  // namespace csm::test
