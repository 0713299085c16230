// The public class Conversation: turns and an engine.
#include <csm/conversation.h>

#include <algorithm>
#include <utility>

#include "base/fail.h"
#include "engine/conversation_file.h"
#include "engine/sound.h"
#include "io/file.h"

namespace csm {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{256} << 20;

CodecShape shape_of(const Engine& engine) {
  return {engine.n_codebooks(), engine.codebook_size(), engine.sample_rate_hz(), engine.frame_samples()};
}

// Whether the text was said, as far as the model or a limit of length let it.
bool is_kept(const SpeechResult& result) {
  return result.codes.n_frames() > 0 && result.stats.finish_reason != FinishReason::kCancelled &&
         result.stats.finish_reason != FinishReason::kDeadline;
}

}  // namespace

Conversation::Conversation(std::shared_ptr<Engine> engine, const ConversationOptions& options)
    : engine_(std::move(engine)) {
  if (engine_ == nullptr) fail(ErrorCode::kInvalidArgument, "a conversation needs an engine");
  if (!engine_->has_language_model()) {
    fail(ErrorCode::kUnsupported, "the model holds a codec alone, which cannot speak; give a CSM model");
  }
  set_options(options);
}

void Conversation::set_options(const ConversationOptions& options) {
  options.context.validate();
  options_ = options;
}

SpeechRequest Conversation::with_context(const SpeechRequest& request) const {
  if (!request.context.empty() || request.context_options.strategy != ContextStrategy::kNone) {
    fail(ErrorCode::kInvalidArgument,
         "a request to a conversation has its own context; add turns with add_turn, and set the conversation's options");
  }
  SpeechRequest full = request;
  full.context_options = options_.context;
  for (const ConversationTurn& turn : turns_) {
    Turn given{turn.speaker, turn.text, std::nullopt, std::nullopt, turn.pinned};
    if (turn.codes.n_frames() > 0) given.codes = turn.codes;
    full.context.push_back(std::move(given));
  }
  return full;
}

bool Conversation::keep(const SpeechRequest& request, const SpeechResult& result) {
  if (!is_kept(result)) return false;
  turns_.push_back({request.speaker, request.text, result.codes, false, true});
  return true;
}

SpeechResult Conversation::say(const SpeechRequest& request,
                               const std::function<bool(const SpeechProgress&)>& on_progress) {
  SpeechResult result = engine_->synthesize(with_context(request), on_progress);
  keep(request, result);
  return result;
}

SpeechResult Conversation::say(int speaker, const std::string& text) {
  SpeechRequest request;
  request.speaker = speaker;
  request.text = text;
  return say(request, {});
}

Prompt Conversation::prompt(const SpeechRequest& request) const { return engine_->prompt(with_context(request)); }

ContextReport Conversation::context_report(const SpeechRequest& request) const {
  return engine_->context_report(with_context(request));
}

void Conversation::add_turn(const Turn& turn) {
  // A prompt of it alone finds all that may be wrong with it, before it becomes part of every later one.
  SpeechRequest probe;
  probe.text = "x";
  probe.speaker = turn.speaker;
  probe.context.push_back(turn);
  Turn& given = probe.context.front();
  if (turn.audio && !turn.codes && !turn.audio->samples.empty()) {
    given.codes = engine_->encode(*turn.audio, engine_->n_codebooks());
    given.audio.reset();
  }
  (void)engine_->prompt(probe);
  ConversationTurn added{turn.speaker, turn.text, {}, turn.pinned, false};
  if (given.codes) added.codes = first_codebooks(*given.codes, engine_->n_codebooks(), "the turn has");
  turns_.push_back(std::move(added));
}

void Conversation::check_turn(size_t turn) const {
  if (turn >= turns_.size()) {
    fail(ErrorCode::kInvalidArgument, "turn {} was asked for; the conversation has {}", turn + 1, turns_.size());
  }
}

void Conversation::set_pinned(size_t turn, bool pinned) {
  check_turn(turn);
  turns_[turn].pinned = pinned;
}

ConversationTurn Conversation::remove(size_t turn) {
  check_turn(turn);
  ConversationTurn removed = std::move(turns_[turn]);
  turns_.erase(turns_.begin() + static_cast<std::ptrdiff_t>(turn));
  return removed;
}

std::optional<ConversationTurn> Conversation::undo() {
  if (turns_.empty()) return std::nullopt;
  return remove(turns_.size() - 1);
}

Audio Conversation::audio(size_t turn) const {
  check_turn(turn);
  if (turns_[turn].codes.n_frames() == 0) fail(ErrorCode::kNotFound, "turn {} is text alone, without sound", turn + 1);
  return engine_->decode(turns_[turn].codes);
}

void Conversation::save(const std::string& path) const {
  const std::string text = write_conversation(turns_, shape_of(*engine_));
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

Conversation Conversation::load(std::shared_ptr<Engine> engine, const std::string& path,
                                const ConversationOptions& options) {
  Conversation conversation(std::move(engine), options);
  conversation.turns_ = parse_conversation(read_text_file(path, kMaxFileBytes), shape_of(*conversation.engine_), path);
  return conversation;
}

std::vector<SpeechResult> say_all(const std::vector<Conversation*>& conversations,
                                  const std::vector<SpeechRequest>& requests,
                                  const std::function<bool(size_t index, const SpeechProgress&)>& on_progress) {
  if (conversations.size() != requests.size()) {
    fail(ErrorCode::kInvalidArgument, "{} conversations and {} requests; expected one for each", conversations.size(),
         requests.size());
  }
  if (conversations.empty()) return {};
  std::vector<SpeechRequest> full;
  for (size_t i = 0; i < conversations.size(); ++i) {
    const auto* const here = conversations.data() + i;
    if (*here == nullptr || (*here)->engine() != conversations.front()->engine()) {
      fail(ErrorCode::kInvalidArgument, "conversation {} is of another engine; speak with those of one engine at once", i + 1);
    }
    if (std::find(conversations.data(), here, *here) != here) {
      fail(ErrorCode::kInvalidArgument, "conversation {} is listed twice; its turns come one after another", i + 1);
    }
    full.push_back((*here)->with_context(requests[i]));
  }
  std::vector<SpeechResult> results = conversations.front()->engine()->synthesize_batch(full, on_progress);
  for (size_t i = 0; i < results.size(); ++i) conversations[i]->keep(requests[i], results[i]);
  return results;
}

}  // namespace csm
