#include "engine/conversation.h"

#include <string>

#include "base/fail.h"
#include "engine/options.h"
#include "engine/sound.h"
#include "engine/stopwatch.h"
#include "prompt/prompt.h"

namespace csm {
namespace {

// Positions of "[speaker]text" between its begin and end tokens.
int64_t count_text(const Tokenizer& tokenizer, int speaker, const std::string& text) {
  return static_cast<int64_t>(tokenizer.encode(fmt::format("[{}]{}", speaker, text)).size()) + 2;
}

// Positions of a turn's sound with its end row, known before it is encoded.
int64_t count_sound(const CodecSpec& codec, const Turn& turn) {
  if (turn.codes) return turn.codes->n_frames() + 1;
  return turn.audio ? count_frames(codec, *turn.audio) + 1 : 0;
}

}  // namespace

PreparedPrompt prepare_prompt(LoadedModel& model, const SpeechRequest& request, const CancelToken& cancel) {
  validate_request(request);
  model.need_language_model();
  const ModelSpec& spec = model.spec;
  const Tokenizer& tokenizer = model.need_tokenizer();

  const int64_t n_text = count_text(tokenizer, request.speaker, request.text);
  int64_t n_positions = n_text;
  for (const Turn& turn : request.context) {
    n_positions += count_text(tokenizer, turn.speaker, turn.text) + count_sound(spec.codec, turn);
  }
  PreparedPrompt prepared;
  prepared.max_frames = frame_limit(spec, request, n_positions, n_text);

  PromptBuilder builder(spec, tokenizer);
  for (size_t i = 0; i < request.context.size(); ++i) {
    const Turn& turn = request.context[i];
    builder.add_text(turn.speaker, turn.text);
    if (!turn.audio && !turn.codes) continue;
    const Stopwatch watch;
    const Codes codes = turn.codes
                            ? first_codebooks(*turn.codes, spec.n_codebooks, fmt::format("context turn {} has", i + 1))
                            : encode_audio(model, *turn.audio, spec.n_codebooks, cancel);
    prepared.context_ms += watch.ms();
    builder.add_audio(codes.ids, codes.n_codebooks);
  }
  builder.add_text(request.speaker, request.text);
  prepared.prompt = builder.take();
  return prepared;
}

}  // namespace csm
