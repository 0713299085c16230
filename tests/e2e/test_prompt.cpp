// csm speak --dump-prompt with every form of context, against the golden prompts.
#include <csm/tensors.h>

#include "program.h"

namespace csm::e2e {
namespace {

struct Case {
  const char* checkpoint;
  const char* golden;  // folder and file
};

class DumpPrompt : public ProgramTest {
 protected:
  // The conversation of a golden prompt as files: each clip a WAV, the turns a JSON file.
  nlohmann::json write_conversation(const nlohmann::json& conversation) const {
    nlohmann::json turns = nlohmann::json::array();
    for (const auto& segment : conversation.at("segments")) {
      const std::string clip = segment.at("clip");
      write_clip(clip);
      turns.push_back({{"speaker", segment.at("speaker")}, {"text", segment.at("text")}, {"audio", clip + ".wav"}});
    }
    write_file("conversation.json", turns.dump());
    return turns;
  }

  void expect_golden(const std::string& written, const TensorFile& golden) const {
    const TensorFile ours = read_tensors(written, {"frames", "mask"});
    for (const char* name : {"frames", "mask"}) {
      EXPECT_EQ(ours.tensors.at(name).shape, golden.tensors.at(name).shape) << name;
      EXPECT_EQ(ours.tensors.at(name).values, golden.tensors.at(name).values) << name;
    }
  }
};

TEST_F(DumpPrompt, EqualsTheGoldenPrompts) {
  const Case cases[] = {{"csm-tiny-a", "csm-tiny-a/prompt_text"},
                        {"csm-tiny-a", "csm-tiny-a/prompt_ctx"},
                        {"csm-tiny-b", "csm-tiny-b/prompt_text"},
                        {"csm-tiny-b", "csm-tiny-b/prompt_ctx"},
                        {"csm-tiny-f/hf-f32", "csm-tiny-f-f32/prompt_eos"},
                        {"csm-tiny-f/hf-f16", "csm-tiny-f-f16/prompt_eos"},
                        {"csm-tiny-f/original", "csm-tiny-f-f32/prompt_eos"},
                        {"nano", "nano/prompt_text"}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.golden);
    const TensorFile golden = read_tensors(data(std::string("gold/") + c.golden + ".safetensors"), {"frames", "mask"});
    const auto conversation = nlohmann::json::parse(golden.metadata.at("conversation"));
    write_conversation(conversation);
    const Outcome outcome =
        run({"speak", conversation.at("text"), "--speaker", conversation.at("speaker").dump(), "--model",
             data(std::string("ckpt/") + c.checkpoint), "--context", path("conversation.json"), "--threads", "1",
             "--dump-prompt", path("prompt.safetensors")});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    expect_golden(path("prompt.safetensors"), golden);
  }
}

TEST_F(DumpPrompt, FlagsCodesAndALastTurnSayTheSame) {
  const std::string golden_path = data("gold/csm-tiny-b/prompt_ctx.safetensors");
  const TensorFile golden = read_tensors(golden_path, {"frames", "mask"});
  const auto conversation = nlohmann::json::parse(golden.metadata.at("conversation"));
  nlohmann::json turns = write_conversation(conversation);
  const Arguments rest = {"--model", data("ckpt/csm-tiny-b"), "--threads",
                          "1",       "--dump-prompt",         path("prompt.safetensors")};
  const auto check = [&](Arguments arguments) {
    arguments.insert(arguments.end(), rest.begin(), rest.end());
    const Outcome outcome = run(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    expect_golden(path("prompt.safetensors"), golden);
  };

  Arguments flags = {"speak", "--speaker", "1"};
  for (const auto& turn : turns) {
    const std::string text = turn.at("text");
    flags.insert(flags.end(), {"--context-text", text, "--context-audio", path(turn.at("audio")), "--context-speaker",
                               turn.at("speaker").dump()});
  }
  flags.push_back(conversation.at("text"));
  check(flags);

  for (auto& turn : turns) {
    const std::string codes = turn.at("audio").get<std::string>() + ".safetensors";
    ASSERT_EQ(run({"codec", "encode", path(turn.at("audio")), "-o", path(codes), "--model", data("ckpt/csm-tiny-b"),
                   "--threads", "1"})
                  .code,
              0);
    turn["codes"] = codes;
    turn.erase("audio");
  }
  turns.push_back({{"speaker", conversation.at("speaker")}, {"text", conversation.at("text")}});
  write_file("codes.json", turns.dump());
  check({"speak", "--context", path("codes.json")});
}

TEST_F(DumpPrompt, StereoAtAnotherRateIsContextToo) {
  write_file("conversation.json",
             nlohmann::json::array({{{"speaker", 0}, {"text", "Hello."}, {"audio", data("audio/s24_stereo_44k.wav")}}})
                 .dump());
  const Outcome outcome =
      run({"speak", "Hi.", "--model", demo_model(), "--threads", "1", "--context", path("conversation.json"),
           "--dump-prompt", path("prompt.safetensors"), "-o", path("a.wav"), "--max-seconds", "0.4"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(files(), (std::vector<std::string>{"a.wav", "conversation.json", "prompt.safetensors"}));
}

TEST_F(DumpPrompt, WithoutAnOutputNothingIsSpoken) {
  const Outcome outcome =
      run({"speak", "Hi.", "--model", demo_model(), "--threads", "1", "--dump-prompt", path("prompt.safetensors")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(files(), std::vector<std::string>{"prompt.safetensors"});
}

TEST_F(DumpPrompt, BadConversationsAreRefused) {
  const auto refused = [&](const std::string& text, const std::string& part) {
    write_file("c.json", text);
    EXPECT_TRUE(fails_with(
        run({"speak", "Hi.", "--model", demo_model(), "--context", path("c.json"), "-o", path("a.wav")}), 1, part))
        << text;
  };
  refused("[{\"speaker\": 0,\n  \"text\": \"x\",}]", "line 2, column 15");
  refused("{}", "must be a list");
  refused("[3]", "turn 1");
  refused(R"([{"text": "x", "audoi": "a.wav"}])", "did you mean 'audio'?");
  refused(R"([{"text": "x"}, {"speaker": -1, "text": "x"}])", "turn 2: 'speaker'");
  refused(R"([{"speaker": 0}])", "has no 'text'");
  refused(R"([{"text": 5}])", "must be a string");
  refused(R"([{"text": "x", "audio": "none.wav"}])", "none.wav");
  refused(R"([{"text": "x", "audio": "a.wav", "codes": "b"}])", "both");
  refused("", "not JSON");
  refused(std::string(100'000, '['), "nested");
  const auto manifest = nlohmann::json::parse(read_file(data("malformed/manifest.json")));
  for (const auto& entry : manifest.at("cases")) {
    if (entry.at("target") == "json") refused(read_file(data("malformed/" + entry.at("path").get<std::string>())), "");
  }
  EXPECT_EQ(files(), std::vector<std::string>{"c.json"});
}

}  // namespace
}  // namespace csm::e2e
