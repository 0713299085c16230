// Conversion to GGUF as a user sees it: the same logits and samples, bit for bit, whatever the source's layout and the type.
#include <csm/convert.h>
#include <csm/inspect.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/model_texts.h"
#include "engine_test.h"
#include "io/file.h"
#include "io/gguf.h"

namespace csm::test {
namespace {

namespace fs = std::filesystem;

const std::string kDemo = std::string(CSM_MODELS_DIR) + "/demo";

std::string directory_of(const std::string& checkpoint) { return checkpoint == "demo" ? kDemo : kData + "/ckpt/" + checkpoint; }

// A directory of a test's own, removed at its end.
class Folder {
 public:
  Folder() {
    const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = fs::path(::testing::TempDir()) / ("csm_convert_" + std::string(test->name()));
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path() const { return path_.string(); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  void add(const std::string& source) const { fs::copy_file(source, path_ / fs::path(source).filename()); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path_ / name, std::ios::binary) << text; }

 private:
  fs::path path_;
};

class Convert : public ::testing::Test {
 protected:
  std::string convert(const std::string& checkpoint, const std::string& type, const std::string& name = "model.gguf") {
    GgufConvertOptions options;
    options.type = type;
    const std::string path = directory_.file(name);
    const ConvertReport report = convert_to_gguf(directory_of(checkpoint), path, options);
    EXPECT_EQ(report.n_bytes, fs::file_size(path));
    return path;
  }

  // The error of a conversion, which must leave nothing behind.
  std::string failure(const std::string& model, const GgufConvertOptions& options, ErrorCode code) {
    const std::string message = error_of(code, [&] { convert_to_gguf(model, directory_.file("failed.gguf"), options); });
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      EXPECT_EQ(entry.path().string().find("failed"), std::string::npos) << entry.path();
    }
    return message;
  }

  Folder directory_;
};

EngineOptions auto_options(const std::string& model, const std::string& quantize = "") {
  EngineOptions options;
  options.model = model;
  options.backend = "ggml";
  options.n_threads = 1;
  options.quantize = quantize;
  return options;
}

Trace trace_of(const EngineOptions& options) {
  const auto engine = Engine::open(options);
  TraceRequest request;
  request.prompt = engine->prompt(greedy_request("Hello there."));
  request.max_frames = 3;
  return engine->trace(request);
}

void expect_same(const Trace& found, const Trace& expected) {
  EXPECT_EQ(found.codes.ids, expected.codes.ids);
  EXPECT_TRUE(found.logits == expected.logits) << "differ by up to " << max_difference(found.logits, expected.logits);
  EXPECT_TRUE(found.hidden == expected.hidden);
}

TEST_F(Convert, LogitsOfF32FilesAreThoseOfTheSource) {
  for (const char* name : {"csm-tiny-a", "csm-tiny-b", "csm-tiny-f/hf-f32", "csm-tiny-f/original", "csm-tiny-f/hf-sharded-bf16", "nano"}) {
    SCOPED_TRACE(name);
    expect_same(trace_of(auto_options(convert(name, "f32"))), trace_of(auto_options(directory_of(name))));
  }
}

TEST_F(Convert, StoredTypesStay) {
  const std::string path = convert("csm-tiny-b", "stored");
  expect_same(trace_of(auto_options(path)), trace_of(auto_options(directory_of("csm-tiny-b"))));
  const FileReport report = inspect(path);
  EXPECT_EQ(report.kind, "csm");
  EXPECT_EQ(report.layout, "gguf");
  EXPECT_TRUE(report.warnings.empty());
  EXPECT_LT(fs::file_size(path), 2 * fs::file_size(directory_of("csm-tiny-b") + "/model.safetensors"));
}

TEST_F(Convert, QuantisedFilesEqualQuantisingAtLoad) {
  const std::pair<const char*, const char*> cases[] = {{"csm-tiny-b", "q8_0"},          {"csm-tiny-b", "q4_0"},
                                                       {"csm-tiny-b", "iq4_nl"},        {"csm-tiny-b", "depth=q8_0"},
                                                       {"csm-tiny-f/original", "backbone=q8_0"}};
  for (const auto& [name, type] : cases) {
    SCOPED_TRACE(std::string(name) + " " + type);
    const std::string path = convert(name, type);
    expect_same(trace_of(auto_options(path)), trace_of(auto_options(directory_of(name), type)));
    expect_same(trace_of(auto_options(path, type)), trace_of(auto_options(path)));  // naming the type again changes nothing
  }
}

TEST_F(Convert, KQuantsOfTheDemoEqualQuantisingAtLoad) {
  for (const char* type : {"q6_K", "q4_K", "backbone=q5_K,depth=q6_K"}) {
    SCOPED_TRACE(type);
    expect_same(trace_of(auto_options(convert("demo", type))), trace_of(auto_options(kDemo, type)));
  }
}

TEST_F(Convert, AllLayoutsGiveTheSameLogits) {
  const Trace expected = trace_of(auto_options(directory_of("csm-tiny-f/hf-f32")));
  expect_same(trace_of(auto_options(directory_of("csm-tiny-f/original"))), expected);
  expect_same(trace_of(auto_options(convert("csm-tiny-f/original", "f32"))), expected);
  expect_same(trace_of(auto_options(directory_of("csm-tiny-f/hf-sharded-bf16"))), trace_of(auto_options(directory_of("csm-tiny-f/hf-bf16"))));
}

TEST_F(Convert, CodecAndTokenizerComeAlong) {
  const auto source = Engine::open(auto_options(directory_of("csm-tiny-f/hf-f32")));
  const auto copy = Engine::open(auto_options(convert("csm-tiny-f/hf-f32", "stored")));
  EXPECT_EQ(copy->tokenize("Hello, world").ids, source->tokenize("Hello, world").ids);
  const Audio clip = golden_clip("mid");
  const Codes codes = source->encode(clip, 0);
  EXPECT_EQ(copy->encode(clip, 0).ids, codes.ids);
  EXPECT_EQ(copy->decode(codes).samples, source->decode(codes).samples);
  EXPECT_EQ(copy->default_backbone_sampling().top_k, source->default_backbone_sampling().top_k);
}

TEST_F(Convert, ATokenizerModelComesAlong) {
  for (const std::string name : {"plain.model", "llama"}) {
    Folder source;
    for (const char* file : {"config.json", "model.safetensors"}) source.add(kData + "/ckpt/csm-tiny-a/" + file);
    source.write("tokenizer.model", name == "llama" ? "YQ== 0\nYg== 1\nYWI= 2\nIA== 3\n" : read_text_file(kData + "/../../text/sentencepiece/" + name, 1 << 20));
    const std::string path = directory_.file(name + ".gguf");
    convert_to_gguf(source.path(), path, {});
    const std::string again = directory_.file(name + "-again.gguf");
    convert_to_gguf(path, again, {});
    const TokenizeResult expected = tokenize(source.path(), "ab ba<|eot_id|>");
    EXPECT_GE(expected.ids.size(), 5u);
    for (const std::string& file : {path, again}) {
      EXPECT_EQ(tokenize(file, "ab ba<|eot_id|>").ids_bos_eos, expected.ids_bos_eos) << file;
    }
    // Bytes that are no tokenizer are found before anything is written.
    source.write("tokenizer.model", "nothing");
    failure(source.path(), {}, ErrorCode::kInvalidData);
  }
}

TEST_F(Convert, ACodecAlone) {
  const auto source = Engine::open(auto_options(directory_of("mimi-tiny-c")));
  const auto copy = Engine::open(auto_options(convert("mimi-tiny-c", "stored")));
  EXPECT_FALSE(copy->has_language_model());
  Codes codes;
  codes.n_codebooks = source->n_codebooks();
  codes.ids.assign(static_cast<size_t>(codes.n_codebooks) * 3, 5);
  EXPECT_EQ(copy->decode(codes).samples, source->decode(codes).samples);
}

TEST_F(Convert, AnotherTypeOfQuantisedWeightsIsRefused) {
  const std::string path = convert("csm-tiny-b", "q8_0");
  EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidArgument, [&] { trace_of(auto_options(path, "q4_0")); }), "Q8_0"));
  EngineOptions options = auto_options(path);
  options.dtype = "f16";
  EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidArgument, [&] { trace_of(options); }), "--dtype"));
  GgufConvertOptions again;
  again.type = "q4_0";
  EXPECT_TRUE(contains(failure(path, again, ErrorCode::kInvalidArgument), "quantised weights stay as they are"));
  again.type = "q8_0,tables=f32";
  EXPECT_NO_THROW(convert_to_gguf(path, directory_.file("again.gguf"), again)) << "what does not change may be named";
}

TEST_F(Convert, PlanTellsTheSizesBeforehand) {
  GgufConvertOptions options;
  options.type = "q8_0,tables=f16";
  const GgufPlan plan = plan_gguf_conversion(kDemo, options);
  EXPECT_TRUE(fs::is_empty(directory_.path()));
  uint64_t sum = 0;
  for (const auto& [part, n_bytes] : plan.part_bytes) sum += n_bytes;
  EXPECT_GT(plan.n_bytes, sum);
  EXPECT_LT(plan.n_bytes, sum + (1 << 20)) << "the rest is the tokenizer, the configuration and the header";
  EXPECT_EQ(plan.n_bytes, fs::file_size(convert("demo", options.type)));
}

TEST_F(Convert, MemoryHoldsTheSameBytes) {
  ::setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
  const std::vector<std::byte> bytes = convert_to_gguf_in_memory(directory_of("nano"), {});
  const std::string file = read_text_file(convert("nano", "stored"), 1 << 24);
  ::unsetenv("SOURCE_DATE_EPOCH");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), file);
}

TEST_F(Convert, MetadataSayWhereItCameFrom) {
  directory_.add(directory_of("nano") + "/config.json");
  directory_.add(directory_of("nano") + "/model.safetensors");
  directory_.write("README.md", "---\nlanguage: en\nlicense: apache-2.0\n---\n# Nano\n");
  GgufConvertOptions options;
  options.name = "Nano";
  convert_to_gguf(directory_.path(), directory_.file("nano.gguf"), options);
  const GgufFile file = read_gguf(directory_.file("nano.gguf"));
  EXPECT_EQ(file.text("general.architecture"), "csm");
  EXPECT_EQ(file.text("general.name"), "Nano");
  EXPECT_EQ(file.text("general.license"), "apache-2.0");
  EXPECT_TRUE(contains(std::string(file.text("csm.model_card")), "# Nano"));
  EXPECT_EQ(file.text("csm.config"), read_text_file(directory_.file("config.json"), 1 << 20));
  EXPECT_EQ(file.find("csm.source.files")->strings(), std::vector<std::string_view>{"model.safetensors"});
  EXPECT_EQ(file.find("csm.source.sha256")->strings().at(0).size(), 64u);
  EXPECT_EQ(file.find("csm.tokenizer"), nullptr);
  EXPECT_EQ(file.text("csm.date").size(), 20u);
}

TEST_F(Convert, CancellingLeavesNothing) {
  GgufConvertOptions options;
  int n_calls = 0;
  options.on_progress = [&](const ConvertProgress& progress) {
    EXPECT_LE(progress.bytes_done, progress.bytes_total);
    return ++n_calls < 20;
  };
  failure(directory_of("csm-tiny-b"), options, ErrorCode::kCancelled);
  EXPECT_EQ(n_calls, 20);
}

TEST_F(Convert, AFullDiskIsReported) {
  GgufConvertOptions options;
  const std::string message = error_of(ErrorCode::kIo, [&] { convert_to_gguf(directory_of("nano"), "/dev/full", options); });
  EXPECT_TRUE(contains(message, "No space left")) << message;
  error_of(ErrorCode::kIo, [&] { convert_to_gguf(directory_of("nano"), directory_.file("none/out.gguf"), options); });
}

TEST_F(Convert, WrongWordsAreRefused) {
  GgufConvertOptions options;
  options.type = "q3_K";
  failure(directory_of("nano"), options, ErrorCode::kInvalidArgument);
  options.type = "q8_0";
  EXPECT_TRUE(contains(failure(directory_of("csm-tiny-a"), options, ErrorCode::kUnsupported), "blocks of 32"));
  options = {};
  options.n_threads = -1;
  failure(directory_of("nano"), options, ErrorCode::kInvalidArgument);
  failure(directory_.file("nowhere"), {}, ErrorCode::kNotFound);
}

TEST(License, IsReadFromTheCardsHeader) {
  EXPECT_EQ(license_of("---\nlicense: cc-by-4.0\n---\n"), "cc-by-4.0");
  EXPECT_EQ(license_of("---\ntags:\n- x\nlicense: \"mit\"\r\n---\n"), "mit");
  EXPECT_EQ(license_of("# No header\nlicense: mit\n"), "");
  EXPECT_EQ(license_of("---\n---\nlicense: mit\n"), "");
  EXPECT_EQ(license_of(""), "");
}

}  // namespace
}  // namespace csm::test
