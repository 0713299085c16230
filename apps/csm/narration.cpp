#include "narration.h"

#include <csm/error.h>
#include <csm/inspect.h>
#include <fmt/format.h>

#include "flags.h"
#include "interrupt.h"
#include "progress.h"

namespace csm::app {

void add_narration_flags(CLI::App& app, NarrationFlags& flags) {
  const char* group = "Long texts";
  ChunkOptions& chunks = flags.options.chunks;
  app.add_flag("--no-normalize", flags.no_normalize, "Numbers, dates, signs and abbreviations as they are, not in words")->group(group);
  app.add_option("--chunk-characters", chunks.max_characters, "Length of the pieces that the text is read in")->type_name("N")->group(group)->capture_default_str();
  app.add_option("--context-chunks", flags.options.context_chunks, "Pieces said before that the next one hears")->type_name("N")->group(group)->capture_default_str();
  app.add_option("--sentence-pause", chunks.sentence_pause_s, "Silence after a piece that ends a sentence")->type_name("S")->group(group)->capture_default_str();
  app.add_option("--paragraph-pause", chunks.paragraph_pause_s, "Silence after a paragraph, or a turn of a script")->type_name("S")->group(group)->capture_default_str();
}

Json narrate_aloud(Engine& engine, const SpeechRequest& request, const std::vector<NarrationPart>& parts, const NarrationFlags& flags,
                   const OutputSettings& settings, const SoundFlags& to) {
  NarrationOptions options = flags.options;
  if (flags.no_normalize) options.normalization = Normalization::kOff;
  check_usage([&] { options.validate(); });
  SoundOutput sound(to, settings, engine.sample_rate_hz());
  Progress progress(settings.quiet);
  const HoldSignals held;
  const auto on_progress = [&](const NarrationProgress& so_far) {
    progress.show(fmt::format("piece {} of {}, {:.1f} s", so_far.chunk, so_far.n_chunks, so_far.audio_seconds));
    return !interrupted();
  };
  const NarrationResult result = narrate(engine, request, parts, options, [&](std::span<const float> samples) { sound.add(samples); }, on_progress);
  progress.clear();
  if (result.audio_seconds > 0) sound.finish();
  if (!settings.quiet) {
    print_text(fmt::format("csm: {}: {:.2f} s in {} pieces, {} of them ended by the model, real-time factor {:.2f}, seed {}{}",
                           to.output.empty() ? "played" : to.to_stdout() ? "standard output" : printable(to.output), result.audio_seconds,
                           result.n_chunks, result.n_ended, result.speech_seconds > 0 ? result.total_ms / 1000 / result.speech_seconds : 0,
                           request.seed, result.is_whole ? "" : "; stopped before the end of the text"));
  }
  check_interrupt();
  sound.check_playback();
  Json report = {{"file", to.output},
                 {"seconds", result.audio_seconds},
                 {"speech_seconds", result.speech_seconds},
                 {"chunks", result.n_chunks},
                 {"ended", result.n_ended},
                 {"seed", request.seed},
                 {"total_ms", result.total_ms},
                 {"peak_memory_bytes", peak_memory_bytes()}};
  add_summary(report, sound);
  return report;
}

}  // namespace csm::app
