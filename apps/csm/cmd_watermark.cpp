// csm watermark: finding, reading and adding the mark in audio files.
#include <csm/error.h>
#include <csm/watermark.h>
#include <fmt/format.h>

#include <memory>

#include "commands.h"
#include "files.h"
#include "flags.h"
#include "interrupt.h"
#include "output.h"
#include "silentcipher.h"
#include "watermark_key.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm watermark detect speech.wav more/*.mp3
  csm watermark read speech.opus --json
  csm watermark add voice.flac -o marked.flac --watermark-payload 0A0B0C0D
  csm watermark key --new my.key
  csm watermark detect call.wav --key my.key --key old.key --speeds
  csm watermark detect speech.wav --silentcipher

detect and read look for the public key, for the key of --watermark-key or its setting, and for those of --key. They end
with code 0 when every file carries a mark of one of them, else with 1. detect knows the payload of csm itself and those of
--payload, and reads any other; read insists on a payload that is decoded from the sound alone.)";

struct FindOptions {
  std::vector<std::string> files;
  std::vector<std::string> key_files;
  std::vector<std::string> payloads;
  WatermarkSearch search;
  bool json = false;
  bool silentcipher = false;
  bool reads = false;
};

void fill_search(FindOptions& options, const Settings& settings) {
  WatermarkSearch& search = options.search;
  search.keys = {public_watermark_key()};
  const WatermarkKey own = watermark_key(settings.watermark);
  if (own.bytes != search.keys.front().bytes) search.keys.push_back(own);
  for (const std::string& file : options.key_files) search.keys.push_back(read_watermark_key(file));
  check_usage([&] {
    for (const std::string& payload : options.payloads) search.known_payloads.push_back(parse_payload(payload));
    search.validate();
  });
}

Json to_json(const WatermarkFinding& finding) {
  Json regions = Json::array();
  for (const WatermarkRegion& region : finding.regions) {
    regions.push_back({{"begin_seconds", region.begin_seconds},
                       {"end_seconds", region.end_seconds},
                       {"payload", fmt::format("{:08X}", region.payload)}});
  }
  return {{"key", finding.key_name},
          {"found", finding.found},
          {"z", finding.z},
          {"false_positive_probability", finding.false_positive_probability},
          {"payload", finding.payload ? Json(fmt::format("{:08X}", *finding.payload)) : Json()},
          {"payload_was_read", finding.payload_was_read},
          {"offset_seconds", finding.offset_seconds},
          {"speed", finding.speed},
          {"regions", regions}};
}

std::string to_text(const std::string& file, const WatermarkFinding& finding) {
  if (!finding.found) {
    return fmt::format("{}: key {}: no mark found (z {:.1f})", printable(file), printable(finding.key_name), finding.z);
  }
  std::string text = fmt::format("{}: key {}: marked, payload {:08X}{}, z {:.1f}, by chance {:.1e}", printable(file),
                                 printable(finding.key_name), *finding.payload,
                                 finding.payload_was_read ? " (read)" : "", finding.z,
                                 finding.false_positive_probability);
  if (finding.speed != 1) text += fmt::format(", speed {:.3f}", finding.speed);
  for (const WatermarkRegion& region : finding.regions) {
    text += fmt::format(", {:.2f}-{:.2f} s", region.begin_seconds, region.end_seconds);
  }
  return text;
}

bool any_found(const std::vector<WatermarkFinding>& findings) {
  for (const WatermarkFinding& finding : findings) {
    if (finding.found) return true;
  }
  return false;
}

// One file by SilentCipher's mark: a known message, or what the reference's rules read. Whether it is there.
bool find_silentcipher(const SilentCipher& cipher, const FindOptions& options, const Settings& settings, const std::string& file, Json& json) {
  const Audio audio = read_audio(file);
  SilentCipherReadOptions how;
  how.keep_going = [] { return !interrupted(); };
  const HoldSignals held;
  std::string text;
  bool found = false;
  if (options.reads) {
    const SilentCipherReading reading = cipher.read(audio, how);
    found = reading.found;
    json = app::to_json(reading);
    text = found ? fmt::format("message {}, confidence {:.3f}", to_string(reading.message), reading.confidence) : "no message";
  } else {
    const SilentCipherMessage message = silentcipher_message(settings.watermark);
    const SilentCipherFinding finding = cipher.find(audio, message, options.search.false_positive_target, how);
    found = finding.found;
    json = app::to_json(finding, message);
    text = fmt::format("{} {} (z {:.1f}, by chance {:.1e})", found ? "marked with message" : "no mark of message", to_string(message),
                       finding.z, finding.false_positive_probability);
  }
  if (!options.json) print_text(fmt::format("{}: SilentCipher: {}", printable(file), text));
  return found;
}

int run_find_silentcipher(const FindOptions& options, const Settings& settings) {
  const std::shared_ptr<const SilentCipher> cipher = open_silentcipher(settings.watermark);
  bool all = true;
  Json files = Json::array();
  for (const std::string& file : options.files) {
    Json finding;
    const bool found = find_silentcipher(*cipher, options, settings, file, finding);
    check_interrupt();
    all = all && found;
    files.push_back({{"file", file}, {"found", found}, {"silentcipher", finding}});
  }
  if (options.json) print_json({{"files", files}});
  return all ? kDone : kFailed;
}

int run_find(FindOptions options, const Settings& settings) {
  if (options.silentcipher) return run_find_silentcipher(options, settings);
  fill_search(options, settings);
  bool all = true;
  Json files = Json::array();
  for (const std::string& file : options.files) {
    check_interrupt();
    const Audio audio = read_audio(file);
    const std::vector<WatermarkFinding> findings = find_watermark(audio, options.search);
    all = all && any_found(findings);
    if (!options.json) {
      for (const WatermarkFinding& finding : findings) print_text(to_text(file, finding));
      continue;
    }
    Json keys = Json::array();
    for (const WatermarkFinding& finding : findings) keys.push_back(to_json(finding));
    files.push_back({{"file", file}, {"seconds", audio.seconds()}, {"found", any_found(findings)}, {"keys", keys}});
  }
  if (options.json) print_json({{"files", files}});
  return all ? kDone : kFailed;
}

struct AddOptions {
  std::string input;
  std::string output;
  bool json = false;
  bool silentcipher = false;
};

int run_add(const AddOptions& options, const Settings& settings) {
  check_output_folder(options.output);
  WatermarkOptions watermark = watermark_options(settings.watermark);
  watermark.enabled = true;
  watermark.key = watermark_key(settings.watermark);
  const SampleFormat format = settings.output.is_float ? SampleFormat::kFloat32 : SampleFormat::kInt16;
  const HoldSignals held;
  if (options.silentcipher) {
    SilentCipherEmbedOptions cipher;
    cipher.message = silentcipher_message(settings.watermark);
    open_silentcipher(settings.watermark)->embed_file(options.input, options.output, format, cipher);
    check_interrupt();
    if (options.json) print_json({{"file", options.output}, {"silentcipher", to_string(cipher.message)}});
    else print_text(fmt::format("csm: {}: marked by SilentCipher with message {}", printable(options.output), to_string(cipher.message)));
    return kDone;
  }
  const WatermarkStats stats = mark_audio_file(options.input, options.output, watermark, format);
  check_interrupt();
  if (options.json) {
    print_json({{"file", options.output}, {"watermark", watermark_json(stats)}});
  } else if (stats.embedded) {
    print_text(fmt::format("csm: {}: marked with key {}, payload {:08X}, preset {}", printable(options.output),
                           printable(stats.key_name), stats.payload, to_string(stats.preset)));
  } else {
    print_text(fmt::format("csm: {}: nothing could be marked, it is silent", printable(options.output)));
  }
  return kDone;
}

void add_find(CLI::App& watermark, const char* name, const char* text, Commands& commands) {
  const auto options = std::make_shared<FindOptions>();
  const bool reads = options->reads = std::string(name) == "read";
  if (reads) options->search.known_payloads.clear();
  CLI::App* app = watermark.add_subcommand(name, text);
  app->footer(kFooter);
  app->add_option("files", options->files, "Audio files: any format, any rate")->type_name("FILE...")->required();
  app->add_option("--key", options->key_files, "File of another key to look for; repeatable")
      ->type_name("FILE")
      ->group("What to look for")
      ->allow_extra_args(false);
  if (!reads) {
    app->add_option("--payload", options->payloads,
                    "A payload to expect beside that of csm itself: found in less sound than one that is read")
        ->type_name("HEX")
        ->group("What to look for")
        ->allow_extra_args(false);
  }
  app->add_option("--false-positives", options->search.false_positive_target,
                  "Accept what chance gives at most this often")
      ->type_name("P")
      ->group("What to look for")
      ->capture_default_str();
  app->add_flag("--silentcipher", options->silentcipher, "SilentCipher's mark instead of csm's own")->group("What to look for");
  app->add_flag("--speeds", options->search.speeds, "Also look for sound that was sped up or slowed down by up to 3 %")
      ->group("What to look for");
  add_json_flag(*app, options->json);
  commands.push_back({app, [options](const Configuration& from) { return run_find(*options, from.settings); }});
}

void add_adding(CLI::App& watermark, Commands& commands) {
  const auto options = std::make_shared<AddOptions>();
  CLI::App* app = watermark.add_subcommand("add", "Mark an audio file");
  app->footer(kFooter);
  app->add_option("file", options->input, "Audio file; channels and rate are kept")->type_name("FILE")->required();
  app->add_option("-o,--output", options->output, "Audio file to write (.wav, .flac ...)")
      ->type_name("FILE")
      ->group("Output")
      ->required();
  app->add_flag("--silentcipher", options->silentcipher, "SilentCipher's mark instead of csm's own")->group("Marking");
  add_json_flag(*app, options->json);
  commands.push_back({app, [options](const Configuration& from) { return run_add(*options, from.settings); }});
}

void add_key(CLI::App& watermark, Commands& commands) {
  const auto path = std::make_shared<std::string>();
  CLI::App* app = watermark.add_subcommand("key", "Make a secret key");
  app->footer(kFooter);
  app->add_option("--new", *path, "File to create, which only its owner can read")->type_name("FILE")->required();
  commands.push_back({app, [path](const Configuration&) {
                        write_new_watermark_key(*path);
                        print_text(fmt::format("csm: {}: a new key; keep it secret, and keep it", printable(*path)));
                        return static_cast<int>(kDone);
                      }});
}

}  // namespace

void add_watermark(CLI::App& program, Commands& commands) {
  CLI::App* watermark = program.add_subcommand("watermark", "Find, read and add the mark of synthetic speech");
  watermark->require_subcommand(1);
  watermark->footer(kFooter);
  add_find(*watermark, "detect", "Say whether files carry the mark", commands);
  add_find(*watermark, "read", "Read the payload of marked files", commands);
  add_adding(*watermark, commands);
  add_key(*watermark, commands);
}

}  // namespace csm::app
