// Prompt frames: those of the goldens from their texts and codes, markers, limits, and errors.
#include "prompt/prompt.h"

#include <gtest/gtest.h>

#include <cstring>

#include <csm/error.h>
#include "io/json.h"
#include "io/safetensors.h"

namespace csm {
namespace {

const std::string kData = CSM_TEST_DATA;

ModelSpec read_spec(const std::string& checkpoint) {
  const std::string path = kData + "/ckpt/" + checkpoint + "/config.json";
  return parse_model_spec(parse_json_file(path, 1 << 20), path);
}

std::unique_ptr<Tokenizer> read_tokenizer(const std::string& checkpoint) {
  return Tokenizer::load(kData + "/ckpt/" + checkpoint + "/tokenizer.json");
}

template <typename Action>
std::string message_of(ErrorCode code, Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class Golden {
 public:
  explicit Golden(const std::string& path)
      : tensors_(read_safetensors(path)), metadata_(read_safetensors_metadata(path)) {}

  const TensorInfo& info(const std::string& name) const {
    for (const TensorInfo& tensor : tensors_) {
      if (tensor.name == name) return tensor;
    }
    throw std::runtime_error("no tensor " + name);
  }

  template <typename T>
  std::vector<T> values(const std::string& name) const {
    const TensorBytes bytes = info(name).fetch();
    std::vector<T> result(bytes.data.size() / sizeof(T));
    std::memcpy(result.data(), bytes.data.data(), bytes.data.size());
    return result;
  }

  nlohmann::json conversation() const { return parse_json(metadata_.at("conversation"), "conversation"); }

  // The codes of a segment, [codebooks, frames] in the file, as rows of frames.
  std::vector<int32_t> frames_of_segment(size_t i) const {
    const std::string name = "segment" + std::to_string(i) + ".codes";
    const auto n_codebooks = static_cast<size_t>(info(name).shape.at(0));
    const auto n_frames = static_cast<size_t>(info(name).shape.at(1));
    const auto stored = values<int32_t>(name);
    std::vector<int32_t> result(stored.size());
    for (size_t frame = 0; frame < n_frames; ++frame) {
      for (size_t codebook = 0; codebook < n_codebooks; ++codebook) {
        result[frame * n_codebooks + codebook] = stored[codebook * n_frames + frame];
      }
    }
    return result;
  }

 private:
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

void add_conversation(PromptBuilder& builder, const Golden& golden, int n_codebooks) {
  const nlohmann::json conversation = golden.conversation();
  const nlohmann::json& segments = conversation.at("segments");
  for (size_t i = 0; i < segments.size(); ++i) {
    builder.add_text(segments[i].at("speaker").get<int>(), segments[i].at("text").get<std::string>());
    builder.add_audio(golden.frames_of_segment(i), n_codebooks);
  }
  builder.add_text(conversation.at("speaker").get<int>(), conversation.at("text").get<std::string>());
}

struct Case {
  const char* checkpoint;
  const char* golden;
};

class PromptGolden : public ::testing::TestWithParam<Case> {};

TEST_P(PromptGolden, FramesAndMask) {
  const ModelSpec spec = read_spec(GetParam().checkpoint);
  const auto tokenizer = read_tokenizer(GetParam().checkpoint);
  const Golden golden(kData + "/gold/" + GetParam().golden);
  PromptBuilder builder(spec, *tokenizer);
  for (int round = 0; round < 2; ++round) {  // take() leaves a builder that starts anew
    add_conversation(builder, golden, spec.n_codebooks);
    const int n_positions = builder.n_positions();
    const Prompt prompt = builder.take();
    EXPECT_EQ(golden.info("frames").shape, (std::vector<int64_t>{n_positions, prompt.n_columns}));
    EXPECT_EQ(prompt.frames, golden.values<int32_t>("frames"));
    EXPECT_EQ(prompt.mask, golden.values<uint8_t>("mask"));
    EXPECT_EQ(builder.n_positions(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(All, PromptGolden,
                         ::testing::Values(Case{"csm-tiny-a", "csm-tiny-a/prompt_text.safetensors"},
                                           Case{"csm-tiny-a", "csm-tiny-a/prompt_ctx.safetensors"},
                                           Case{"csm-tiny-b", "csm-tiny-b/prompt_text.safetensors"},
                                           Case{"csm-tiny-b", "csm-tiny-b/prompt_ctx.safetensors"},
                                           Case{"csm-tiny-f/hf-f32", "csm-tiny-f-f32/prompt_text.safetensors"},
                                           Case{"csm-tiny-f/hf-f32", "csm-tiny-f-f32/prompt_eos.safetensors"},
                                           Case{"csm-tiny-f/original", "csm-tiny-f-f32/prompt_text.safetensors"},
                                           Case{"csm-tiny-f/original", "csm-tiny-f-f32/prompt_eos.safetensors"},
                                           Case{"csm-tiny-f/hf-bf16", "csm-tiny-f-bf16/prompt_eos.safetensors"},
                                           Case{"csm-tiny-f/hf-sharded-bf16", "csm-tiny-f-bf16/prompt_eos.safetensors"},
                                           Case{"csm-tiny-f/hf-f16", "csm-tiny-f-f16/prompt_eos.safetensors"},
                                           Case{"nano", "nano/prompt_text.safetensors"}));

class PromptTest : public ::testing::Test {
 protected:
  ModelSpec spec_ = read_spec("nano");
  std::unique_ptr<Tokenizer> tokenizer_ = read_tokenizer("nano");

  std::vector<int32_t> text_ids(int speaker, std::string_view text) {
    PromptBuilder builder(spec_, *tokenizer_);
    builder.add_text(speaker, text);
    const Prompt prompt = builder.take();
    std::vector<int32_t> ids;
    for (int row = 0; row < prompt.n_positions(); ++row) {
      const auto last = static_cast<size_t>((row + 1) * prompt.n_columns - 1);
      EXPECT_EQ(prompt.mask[last], 1);
      ids.push_back(prompt.frames[last]);
    }
    return ids;
  }

  std::string add_audio_message(const std::vector<int32_t>& codes, int n_codebooks) {
    PromptBuilder builder(spec_, *tokenizer_);
    const std::string message = message_of(ErrorCode::kInvalidArgument, [&] { builder.add_audio(codes, n_codebooks); });
    EXPECT_EQ(builder.n_positions(), 0) << "nothing is added by a call that fails";
    return message;
  }
};

TEST_F(PromptTest, TextIsTokenisedWithItsSpeaker) {
  EXPECT_EQ(text_ids(0, "Hi"), tokenizer_->encode_with_special_tokens("[0]Hi"));
  EXPECT_EQ(text_ids(-12, " Hi\n"), tokenizer_->encode_with_special_tokens("[-12] Hi\n"));
  EXPECT_EQ(text_ids(3, ""), tokenizer_->encode_with_special_tokens("[3]"));
  EXPECT_EQ(text_ids(0, "a<|end_of_text|>b"), (std::vector<int32_t>{262, 58, 15, 60, 64, 263, 65, 263}))
      << "as the reference reads it";
}

TEST_F(PromptTest, LongText) {
  const std::string text(100'000, 'x');
  EXPECT_EQ(text_ids(0, text).size(), text.size() + 5);
}

TEST_F(PromptTest, InvalidUtf8CountsInTheCallersText) {
  PromptBuilder builder(spec_, *tokenizer_);
  const std::string message = message_of(ErrorCode::kInvalidArgument, [&] { builder.add_text(7, "ab\xFF"); });
  EXPECT_TRUE(contains(message, "at byte 2 (0xFF)")) << message;
  EXPECT_EQ(builder.n_positions(), 0);
}

TEST_F(PromptTest, AudioRowsEndWithZeros) {
  PromptBuilder builder(spec_, *tokenizer_);
  const std::vector<int32_t> codes = {1, 2, 3, 4};
  builder.add_audio(codes, 2);
  builder.add_audio({}, 2);
  const Prompt prompt = builder.take();
  EXPECT_EQ(prompt.frames, (std::vector<int32_t>{1, 2, 0, 3, 4, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(prompt.mask, (std::vector<uint8_t>{1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0}));
}

TEST_F(PromptTest, CodesOutsideTheCodec) {
  const int n_valid = spec_.n_valid_codes();
  ASSERT_LT(n_valid, spec_.audio_vocab);
  EXPECT_TRUE(contains(add_audio_message({0, 0, 1, n_valid}, 2), "in codebook 1 of frame 1; expected 0.."));
  EXPECT_TRUE(contains(add_audio_message({-1, 0}, 2), "has the code -1 in codebook 0 of frame 0"));
  EXPECT_TRUE(contains(add_audio_message({0, 0, 0}, 2), "must have 2 codes per frame; found 3 codes"));
  EXPECT_TRUE(contains(add_audio_message({0, 0, 0}, 3), "in frames of 3"));
  EXPECT_TRUE(contains(add_audio_message({}, 0), "in frames of 0"));
}

TEST_F(PromptTest, MarkersComeFromTheTokenizerWhenTheModelHasNone) {
  spec_.text_bos_id = -1;
  spec_.text_eos_id = -1;
  EXPECT_EQ(text_ids(0, ""), (std::vector<int32_t>{262, 58, 15, 60, 263}));
  spec_.text_bos_id = 1;
  spec_.text_eos_id = 2;
  EXPECT_EQ(text_ids(0, ""), (std::vector<int32_t>{1, 58, 15, 60, 2}));
}

TEST_F(PromptTest, TokenizersThatDoNotBelongToTheModel) {
  const auto construct = [&] { PromptBuilder(spec_, *tokenizer_); };
  spec_.text_bos_id = spec_.text_vocab;
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidData, construct), "outside the model's text vocabulary"));
  spec_.text_bos_id = -1;
  spec_.text_vocab = tokenizer_->n_ids() - 1;
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidData, construct),
                       "the tokenizer has ids up to 269, the model's text vocabulary ends at 268"));
  auto file = parse_json_file(kData + "/ckpt/nano/tokenizer.json", 1 << 20);
  file["added_tokens"] = nullptr;
  file["post_processor"] = nullptr;
  tokenizer_ = Tokenizer::parse_json(file.dump(), "t.json");
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidData, construct), "no token '<|begin_of_text|>'"));
}

TEST_F(PromptTest, ACodecCannotBePrompted) {
  ModelSpec codec = read_spec("mimi-tiny-c");
  EXPECT_TRUE(contains(message_of(ErrorCode::kInvalidArgument, [&] { PromptBuilder(codec, *tokenizer_); }),
                       "has no language model"));
}

}  // namespace
}  // namespace csm
