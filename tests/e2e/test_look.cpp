// csm inspect, doctor and tokenize: what the program knows of models, machines and texts.
#include <csm/inspect.h>

#include "program.h"

namespace csm::e2e {
namespace {

class Look : public ProgramTest {};

TEST_F(Look, InspectKnowsEveryLayout) {
  const std::pair<const char*, const char*> cases[] = {{"csm-tiny-a", "transformers"},
                                                       {"csm-tiny-b", "transformers"},
                                                       {"csm-tiny-f/hf-f32", "transformers"},
                                                       {"csm-tiny-f/hf-f16", "transformers"},
                                                       {"csm-tiny-f/hf-bf16", "transformers"},
                                                       {"csm-tiny-f/hf-sharded-bf16", "transformers"},
                                                       {"csm-tiny-f/original", "original"},
                                                       {"mimi-tiny-c", "mimi"},
                                                       {"nano", "transformers"}};
  for (const auto& [checkpoint, layout] : cases) {
    SCOPED_TRACE(checkpoint);
    const Outcome outcome = run({"inspect", data(std::string("ckpt/") + checkpoint), "--json"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(outcome.err.empty());
    const nlohmann::json report = outcome.json();
    EXPECT_EQ(report.at("layout"), layout);
    uint64_t n_bytes = 0;
    for (const auto& tensor : report.at("tensors")) n_bytes += tensor.at("bytes").get<uint64_t>();
    EXPECT_GT(n_bytes, 0u);
    EXPECT_FALSE(report.at("spec").empty());
    EXPECT_FALSE(report.at("memory_bytes").empty());
  }
}

TEST_F(Look, InspectReportsForPeople) {
  const Outcome brief = run({"inspect", demo_model()});
  ASSERT_EQ(brief.code, 0) << brief.err;
  EXPECT_TRUE(brief.out.empty());
  for (const char* part : {"transformers layout", "million parameters", "Model", "Memory", "q8_0"}) {
    EXPECT_NE(brief.err.find(part), std::string::npos) << part;
  }
  const Outcome whole = run({"inspect", demo_model(), "--tensors"});
  EXPECT_NE(whole.err.find("lm_head.weight"), std::string::npos);
  EXPECT_EQ(brief.err.find("lm_head.weight"), std::string::npos);
}

TEST_F(Look, InspectTakesSingleFiles) {
  EXPECT_EQ(run({"inspect", demo_model() + "/model.safetensors", "--json"}).code, 0);
  EXPECT_EQ(run({"inspect", demo_model() + "/config.json", "--json"}).code, 0);
  EXPECT_EQ(run({"inspect", data("gold/nano/forced_text.safetensors"), "--json"}).json().at("kind"), "safetensors");
}

TEST_F(Look, DoctorFindsNoProblemHere) {
  const Outcome outcome = run({"doctor", "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.err << outcome.out;
  const nlohmann::json report = outcome.json();
  EXPECT_EQ(report.at("problems").size(), 0u) << report.at("problems");
  EXPECT_GE(report.at("physical_cores"), 1);
  EXPECT_FALSE(report.at("devices").empty());
  EXPECT_FALSE(report.at("libraries").empty());
  EXPECT_FALSE(report.at("bundled_model").get<std::string>().empty());
  EXPECT_NE(run({"doctor"}).err.find("no problems found"), std::string::npos);
}

TEST_F(Look, TokenizeEqualsTheGoldenVectors) {
  const std::pair<const char*, const char*> cases[] = {{"csm-tiny-a", "csm-tiny-a"},
                                                       {"csm-tiny-b", "csm-tiny-b"},
                                                       {"csm-tiny-f/hf-f32", "csm-tiny-f"},
                                                       {"nano", "nano"}};
  for (const auto& [checkpoint, gold] : cases) {
    const auto vectors =
        nlohmann::json::parse(read_file(data(std::string("gold/") + gold + "/tokenizer_vectors.json")));
    for (const auto& vector : vectors.at("vectors")) {
      const std::string text = vector.at("text");
      SCOPED_TRACE(text);
      if (text.find('\0') != std::string::npos) continue;  // no command line can carry it
      if (text == "-") continue;                           // standard input
      const Outcome outcome =
          run({"tokenize", "--model", data(std::string("ckpt/") + checkpoint), "--json", "--", text});
      ASSERT_EQ(outcome.code, 0) << outcome.err;
      EXPECT_EQ(outcome.json().at("ids"), vector.at("ids"));
      EXPECT_EQ(outcome.json().at("ids_bos_eos"), vector.at("ids_bos_eos"));
    }
  }
}

TEST_F(Look, TokenizeReadsStandardInputAndFiles) {
  Surroundings pipe;
  pipe.input = "Hello there.";
  const Outcome piped = run({"tokenize", "-", "--json", "--model", demo_model()}, pipe);
  const Outcome typed = run({"tokenize", "Hello there.", "--json", "--model", demo_model()});
  const Outcome filed =
      run({"tokenize", "--text-file", write_file("t.txt", "Hello there."), "--json", "--model", demo_model()});
  ASSERT_EQ(piped.code, 0) << piped.err;
  EXPECT_EQ(piped.out, typed.out);
  EXPECT_EQ(filed.out, typed.out);
  pipe.input = "Hello there.\n";
  const Outcome with_line_break = run({"tokenize", "-", "--json", "--model", demo_model()}, pipe);
  EXPECT_EQ(with_line_break.json().at("ids").size(), typed.json().at("ids").size() + 1) << "byte for byte";
  const Outcome ids = run({"tokenize", "Hello there.", "--bos-eos", "--model", demo_model()});
  EXPECT_NE(ids.err.find(std::to_string(typed.json().at("ids_bos_eos").at(0).get<int>()) + " "), std::string::npos);
}

TEST_F(Look, TokenizeRefusesWhatIsNoText) {
  EXPECT_TRUE(fails_with(run({"tokenize", "caf\xC3", "--model", demo_model()}), 1, "UTF-8"));
  EXPECT_TRUE(fails_with(run({"tokenize", "--model", demo_model()}), 2, "tokenized"));
}

TEST_F(Look, TokenizeChecksNoWeights) {
  write_file("config.json", read_file(data("ckpt/nano/config.json")));
  write_file("tokenizer.json", read_file(data("ckpt/nano/tokenizer.json")));
  write_file("model.safetensors", read_file(data("malformed/model/weights_nan/model.safetensors")));
  const Outcome alone = run({"tokenize", "Hi", "--json", "--model", path("")});
  ASSERT_EQ(alone.code, 0) << alone.err;
  EXPECT_EQ(alone.out, run({"tokenize", "Hi", "--json", "--model", data("ckpt/nano")}).out);
}

}  // namespace
}  // namespace csm::e2e
