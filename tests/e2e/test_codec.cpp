// csm codec: golden codes and golden sound through files.
#include <csm/audio.h>
#include <csm/tensors.h>

#include <cmath>

#include "program.h"

namespace csm::e2e {
namespace {

const std::vector<int32_t>& integers(const TensorFile& file, const std::string& name) {
  return std::get<std::vector<int32_t>>(file.tensors.at(name).values);
}

const std::vector<float>& floats(const TensorFile& file, const std::string& name) {
  return std::get<std::vector<float>>(file.tensors.at(name).values);
}

class CodecProgram : public ProgramTest {
 protected:
  static Arguments codec(const std::string& direction, const std::string& checkpoint, const Arguments& more) {
    Arguments arguments = {"codec", direction, "--model", data("ckpt/" + checkpoint), "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // Golden codes are [n_codebooks, n_frames]; files have [n_frames, n_codebooks].
  std::string write_codes(const TensorFile& golden, const std::string& name) const {
    const Tensor& source = golden.tensors.at(name);
    const size_t n_codebooks = static_cast<size_t>(source.shape[0]), n_frames = static_cast<size_t>(source.shape[1]);
    std::vector<int32_t> codes(n_codebooks * n_frames);
    for (size_t k = 0; k < n_codebooks; ++k)
      for (size_t f = 0; f < n_frames; ++f) codes[f * n_codebooks + k] = integers(golden, name)[k * n_frames + f];
    TensorFile file;
    file.tensors["codes"] = {{source.shape[1], source.shape[0]}, codes};
    write_tensors(path("codes.safetensors"), file);
    return path("codes.safetensors");
  }

  void expect_codes(const std::string& checkpoint, const std::string& gold, const std::string& clip) const {
    SCOPED_TRACE(gold + " " + clip);
    const TensorFile golden =
        read_tensors(data("gold/" + gold + "/mimi_encode.safetensors"), {clip + ".codes", clip + ".margin"});
    const Outcome outcome = run(codec("encode", checkpoint, {write_clip(clip), "-o", path("out.safetensors")}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const TensorFile ours = read_tensors(path("out.safetensors"), {"codes"});
    const std::vector<int64_t>& shape = golden.tensors.at(clip + ".codes").shape;
    ASSERT_EQ(ours.tensors.at("codes").shape, (std::vector<int64_t>{shape[1], shape[0]}));
    const auto n_codebooks = static_cast<size_t>(shape[0]), n_frames = static_cast<size_t>(shape[1]);
    for (size_t f = 0; f < n_frames; ++f) {
      for (size_t k = 0; k < n_codebooks; ++k) {
        const int32_t expected = integers(golden, clip + ".codes")[k * n_frames + f];
        if (integers(ours, "codes")[f * n_codebooks + k] == expected) continue;
        EXPECT_LT(floats(golden, clip + ".margin")[k * n_frames + f], 1e-4) << "frame " << f << ", codebook " << k;
        break;  // later codebooks of the frame follow from this one
      }
    }
  }

  void expect_sound(const std::string& checkpoint, const std::string& gold, const std::string& name,
                    const Arguments& more = {}, const std::string& wav = ".wav") const {
    SCOPED_TRACE(gold + " " + name + wav);
    const TensorFile golden =
        read_tensors(data("gold/" + gold + "/mimi_decode.safetensors"), {name + ".codes", name + wav});
    Arguments arguments = {write_codes(golden, name + ".codes"), "-o", path("out.wav"), "--float"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run(codec("decode", checkpoint, arguments));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Audio audio = read_audio(path("out.wav"));
    const std::vector<float>& expected = floats(golden, name + wav);
    ASSERT_EQ(audio.samples.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(audio.samples[i], expected[i], 5e-5) << "sample " << i;
  }
};

TEST_F(CodecProgram, EncodesToTheGoldenCodes) {
  for (const char* clip : {"tiny", "short", "frame", "mid", "one_s"}) {
    expect_codes("csm-tiny-a", "csm-tiny-a", clip);
    expect_codes("csm-tiny-b", "csm-tiny-b", clip);
    expect_codes("mimi-tiny-c", "mimi-tiny-c", clip);
  }
  expect_codes("mimi-tiny-c", "mimi-tiny-c", "three_s");
  expect_codes("csm-tiny-f/hf-f32", "csm-tiny-f-f32", "mid");
  expect_codes("csm-tiny-f/original", "csm-tiny-f-f32", "mid");
  expect_codes("nano", "nano", "short");
}

TEST_F(CodecProgram, DecodesToTheGoldenSound) {
  expect_sound("csm-tiny-a", "csm-tiny-a", "small");
  expect_sound("csm-tiny-b", "csm-tiny-b", "small");
  expect_sound("csm-tiny-b", "csm-tiny-b", "long");
  expect_sound("mimi-tiny-c", "mimi-tiny-c", "long");
  expect_sound("csm-tiny-f/hf-f32", "csm-tiny-f-f32", "small");
  expect_sound("csm-tiny-f/original", "csm-tiny-f-f32", "small");
  expect_sound("nano", "nano", "small");
}

TEST_F(CodecProgram, DecodesFromFewerCodebooks) {
  expect_sound("csm-tiny-a", "csm-tiny-a", "small", {"--codebooks", "1"}, ".nq1.wav");
  expect_sound("csm-tiny-a", "csm-tiny-a", "small", {"--codebooks", "8"}, ".nq8.wav");
  expect_sound("csm-tiny-b", "csm-tiny-b", "small", {"--codebooks", "7"}, ".nq7.wav");
}

TEST_F(CodecProgram, EncodingWithFewerCodebooksGivesTheFirstColumns) {
  const std::string clip = write_clip("mid");
  ASSERT_EQ(run(codec("encode", "mimi-tiny-c", {clip, "-o", path("all.safetensors")})).code, 0);
  const Outcome outcome =
      run(codec("encode", "mimi-tiny-c", {clip, "-o", path("five.safetensors"), "--codebooks", "5", "--json"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.json().at("codebooks"), 5);
  EXPECT_EQ(outcome.json().at("frames"), 3);
  const TensorFile all = read_tensors(path("all.safetensors"), {"codes"});
  const TensorFile five = read_tensors(path("five.safetensors"), {"codes"});
  for (size_t f = 0; f < 3; ++f)
    for (size_t k = 0; k < 5; ++k) EXPECT_EQ(integers(five, "codes")[f * 5 + k], integers(all, "codes")[f * 32 + k]);
}

TEST_F(CodecProgram, AStreamHoldsTheSamplesOfTheFile) {
  const TensorFile golden = read_tensors(data("gold/csm-tiny-b/mimi_decode.safetensors"), {"long.codes"});
  const std::string codes = write_codes(golden, "long.codes");
  ASSERT_EQ(run(codec("decode", "csm-tiny-b", {codes, "-o", path("a.wav")})).code, 0);
  const Outcome stream = run(codec("decode", "csm-tiny-b", {codes, "-o", "-"}));
  ASSERT_EQ(stream.code, 0) << stream.err;
  EXPECT_TRUE(stream.out.substr(44) == read_file(path("a.wav")).substr(44));
}

TEST_F(CodecProgram, SoundSurvivesTheBundledCodec) {
  const Outcome spoken =
      run({"speak", "Good morning.", "--model", demo_model(), "--threads", "1", "--seed", "1", "-o", path("a.wav")});
  ASSERT_EQ(spoken.code, 0) << spoken.err;
  ASSERT_EQ(
      run({"codec", "encode", path("a.wav"), "-o", path("a.safetensors"), "--threads", "1", "--model", demo_model()})
          .code,
      0);
  ASSERT_EQ(
      run({"codec", "decode", path("a.safetensors"), "-o", path("b.wav"), "--threads", "1", "--model", demo_model()})
          .code,
      0);
  EXPECT_EQ(read_audio(path("a.wav")).samples.size(), read_audio(path("b.wav")).samples.size());
}

TEST_F(CodecProgram, OtherFilesOfCodesAreRefusedByWhatTheyHold) {
  const auto refused = [&](const std::string& file, const std::string& part, int code = 1, const Arguments& more = {}) {
    Arguments arguments = {file, "-o", path("out.wav")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_TRUE(fails_with(run(codec("decode", "csm-tiny-b", arguments)), code, part));
  };
  refused(data("gold/csm-tiny-b/mimi_decode.safetensors"), "small.codes I32 [16, 3]");
  refused(data("malformed/base/unit.safetensors"), "codes");
  refused(path("none.safetensors"), "none.safetensors");
  TensorFile file;
  const auto write = [&](std::vector<int64_t> shape, std::vector<int32_t> values) {
    file.tensors["codes"] = {std::move(shape), std::move(values)};
    write_tensors(path("bad.safetensors"), file);
    return path("bad.safetensors");
  };
  refused(write({4}, {1, 2, 3, 4}), "n_frames, n_codebooks");
  refused(write({0, 16}, {}), "at least one row");
  refused(write({1, 2}, {1, 2'000'000'000}), "2000000000");
  refused(write({1, 2}, {1, -1}), "-1");
  refused(write({1, 17}, std::vector<int32_t>(17, 1)), "17");
  refused(write({1, 2}, {1, 2}), "2 codebooks", 2, {"--codebooks", "3"});
  EXPECT_EQ(files(), std::vector<std::string>{"bad.safetensors"});
}

}  // namespace
}  // namespace csm::e2e
