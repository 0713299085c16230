// csm codec: sound to codes and back, without the language model.
#include <csm/engine.h>
#include <csm/error.h>
#include <fmt/format.h>

#include <memory>

#include "commands.h"
#include "files.h"
#include "flags.h"
#include "interrupt.h"
#include "output.h"
#include "sound_output.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm codec encode voice.wav -o voice.safetensors
  csm codec decode voice.safetensors -o again.wav
  csm codec decode voice.safetensors --codebooks 4 --float -o rough.wav

The file of codes holds one tensor: codes int32 [n_frames, n_codebooks].)";

struct CodecOptions {
  std::string input;
  std::string output;
  SoundFlags sound;  // of decode
  int n_codebooks = 0;
  bool json = false;
};

// Fewer codebooks of the same frames.
Codes first_codebooks(const Codes& codes, int n_codebooks) {
  Codes kept;
  kept.n_codebooks = n_codebooks;
  for (int frame = 0; frame < codes.n_frames(); ++frame) {
    const auto row = codes.ids.begin() + static_cast<std::ptrdiff_t>(frame) * codes.n_codebooks;
    kept.ids.insert(kept.ids.end(), row, row + n_codebooks);
  }
  return kept;
}

void report(const CodecOptions& options, const Codes& codes, double seconds) {
  if (options.json) {
    print_json({{"file", options.output},
                {"frames", codes.n_frames()},
                {"codebooks", codes.n_codebooks},
                {"seconds", seconds}});
  } else {
    print_text(fmt::format("csm: {}: {} frames of {} codebooks, {:.2f} s",
                           options.output == "-" ? "standard output" : printable(options.output), codes.n_frames(),
                           codes.n_codebooks, seconds));
  }
}

int run_encode(const CodecOptions& options, const Settings& settings) {
  if (options.output == "-") throw UsageError("codes are written to a file; name one with -o FILE.safetensors");
  check_output_folder(options.output);
  const Audio audio = read_audio(options.input);
  const Codes codes = open_engine(settings.engine)->encode(audio, options.n_codebooks);
  TensorFile file;
  file.tensors["codes"] = codes_tensor(codes);
  write_tensor_file(options.output, file);
  report(options, codes, audio.seconds());
  return kDone;
}

int run_decode(const CodecOptions& options, const Settings& settings) {
  if (options.json && options.output == "-") {
    throw UsageError("--json and -o - both want standard output; write the audio to a file, or drop --json");
  }
  check_audio_on_stdout(options.output);
  check_output_folder(options.output);
  (void)settings.output.audio(options.sound.tags);
  Codes codes = read_codes(options.input);
  if (options.n_codebooks > codes.n_codebooks) {
    throw UsageError(
        fmt::format("--codebooks {}: '{}' has {} codebooks", options.n_codebooks, options.input, codes.n_codebooks));
  }
  if (options.n_codebooks > 0) codes = first_codebooks(codes, options.n_codebooks);
  const std::shared_ptr<Engine> engine = open_engine(settings.engine);
  SoundFlags flags = options.sound;
  flags.output = options.output;
  SoundOutput sound(flags, settings.output, engine->sample_rate_hz());
  const Audio audio = engine->decode(codes);
  {
    const HoldSignals held;
    sound.add(audio.samples);
    sound.finish();
  }
  report(options, codes, audio.seconds());
  sound.check_playback();
  return kDone;
}

CLI::App* add_direction(CLI::App& codec, const char* name, const char* text, CodecOptions& options,
                        const char* input_text, const char* output_text) {
  CLI::App* app = codec.add_subcommand(name, text);
  app->footer(kFooter);
  app->add_option("input", options.input, input_text)->type_name("FILE")->required();
  app->add_option("-o,--output", options.output, output_text)->type_name("FILE")->group("Output")->required();
  app->add_option("--codebooks", options.n_codebooks, "Use only the first N codebooks; 0 = all")
      ->type_name("N")
      ->group("Output")
      ->capture_default_str()
      ->check(whole_number(0));
  add_json_flag(*app, options.json);
  return app;
}

}  // namespace

void add_codec(CLI::App& program, Commands& commands) {
  CLI::App* codec = program.add_subcommand("codec", "Turn sound into codes and codes into sound");
  codec->require_subcommand(1);
  codec->footer(kFooter);
  const auto encoding = std::make_shared<CodecOptions>();
  CLI::App* encode =
      add_direction(*codec, "encode", "Turn an audio file into codes", *encoding,
                    "Audio file; any rate, channels are averaged", "Tensor file to write (.safetensors)");
  commands.push_back({encode, [encoding](const Configuration& from) { return run_encode(*encoding, from.settings); }});
  const auto decoding = std::make_shared<CodecOptions>();
  CLI::App* decode = add_direction(*codec, "decode", "Turn codes into an audio file", *decoding,
                                   "Tensor file with codes int32 [n_frames, n_codebooks]",
                                   "Audio file (.wav, .flac ...); - streams to standard output");
  add_play_flag(*decode, decoding->sound);
  add_tag_flag(*decode, decoding->sound);
  commands.push_back({decode, [decoding](const Configuration& from) { return run_decode(*decoding, from.settings); }});
}

}  // namespace csm::app
