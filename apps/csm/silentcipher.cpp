#include "silentcipher.h"

#include <csm/watermark.h>
#include <fmt/format.h>

#include "flags.h"
#include "model_name.h"

namespace csm::app {

bool wants_silentcipher(const WatermarkSettings& settings) { return settings.kind == "silentcipher" || settings.kind == "both"; }

void refuse_silentcipher(const WatermarkSettings& settings, const char* command) {
  if (!wants_silentcipher(settings)) return;
  throw UsageError(fmt::format("{} writes speech as it comes, and SilentCipher marks what is finished: use csm's own mark, and csm watermark add "
                               "--silentcipher on the file", command));
}

SilentCipherMessage silentcipher_message(const WatermarkSettings& settings) {
  return settings.silentcipher_message.empty() ? kCsmMessage : parse_silentcipher_message(settings.silentcipher_message);
}

std::shared_ptr<const SilentCipher> open_silentcipher(const WatermarkSettings& settings) {
  return SilentCipher::open(locate_model(settings.silentcipher_weights.empty() ? "silentcipher" : settings.silentcipher_weights));
}

WatermarkStats mark_finished(const SilentCipher& cipher, const WatermarkSettings& settings, const WatermarkOptions& own, Audio& audio) {
  SilentCipherEmbedOptions options;
  options.message = silentcipher_message(settings);
  audio = cipher.embed(audio, options);
  if (settings.kind != "both") return {};
  WatermarkEmbedder embedder(own, audio.sample_rate_hz);
  std::vector<float> marked;
  embedder.push(audio.samples.data(), audio.samples.size(), marked);
  embedder.finish(marked);
  audio.samples = std::move(marked);
  return embedder.stats();
}

Json to_json(const SilentCipherFinding& finding, const SilentCipherMessage& message) {
  return {{"message", to_string(message)},
          {"found", finding.found},
          {"z", finding.z},
          {"false_positive_probability", finding.false_positive_probability},
          {"shift_samples", finding.shift_samples}};
}

Json to_json(const SilentCipherReading& reading) {
  return {{"found", reading.found},
          {"message", reading.found ? Json(to_string(reading.message)) : Json()},
          {"confidence", reading.confidence},
          {"shift_samples", reading.shift_samples}};
}

}  // namespace csm::app
