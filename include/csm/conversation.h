// A conversation: turns that were said, and the means to say the next one. What is generated becomes context, so that the voice
// stays and the answer answers.
//
//   csm::Conversation talk(engine);
//   talk.add_turn({0, "Hello there.", csm::read_audio("hello.wav")});   // what somebody else said, or the voice to keep
//   talk.say(1, "Hi! How are you?");
//   talk.say(0, "Very well.");
//   talk.save("talk.json");
//
// A conversation is a value: a copy is a branch that goes its own way on the same engine, and computes what both share only once.
// One thread at a time may use a conversation; several conversations may use one engine from several threads. Everything that
// throws leaves the conversation as it was.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <csm/context.h>
#include <csm/engine.h>
#include <csm/speech.h>

namespace csm {

struct ConversationTurn {
  int speaker = 0;
  std::string text;
  Codes codes;             // empty: text alone
  bool pinned = false;     // kept before all others when not all turns fit
  bool generated = false;  // said by say(), not added from outside
};

// Hybrid: a conversation goes on however long it is.
struct ConversationOptions {
  ContextOptions context = {ContextStrategy::kHybrid, TurnCompression::kNone, 2, std::nullopt};
};

class Conversation {
 public:
  // Errors: kInvalidArgument for options, kUnsupported when the engine holds a codec alone.
  explicit Conversation(std::shared_ptr<Engine> engine, const ConversationOptions& options = {});

  const std::vector<ConversationTurn>& turns() const { return turns_; }
  const ConversationOptions& options() const { return options_; }
  void set_options(const ConversationOptions& options);
  const std::shared_ptr<Engine>& engine() const { return engine_; }

  // Generates the next turn and keeps it. The request's context and context options must be empty: they are the conversation's. The
  // callback (may be empty) is called once per frame on the inference thread and returns false to cancel. Kept when the model
  // ended or a limit of length stopped it; speech that was cancelled, that ran into its deadline or that has no frame is returned
  // but not kept.
  SpeechResult say(const SpeechRequest& request, const std::function<bool(const SpeechProgress&)>& on_progress);
  SpeechResult say(int speaker, const std::string& text);

  // The two halves of say(), for speech that is streamed: what to give to Engine::start, and what came of it. keep() returns whether
  // it was kept, by the rule above.
  SpeechRequest with_context(const SpeechRequest& request) const;
  bool keep(const SpeechRequest& request, const SpeechResult& result);

  // What say(request) would give the model, and which turns of it.
  Prompt prompt(const SpeechRequest& request) const;
  ContextReport context_report(const SpeechRequest& request) const;

  // A turn from outside; sound is encoded at once. Errors: as for a turn of a request.
  void add_turn(const Turn& turn);
  // Errors: kInvalidArgument when there is no such turn.
  void set_pinned(size_t turn, bool pinned);
  // Takes a turn away and returns it. Errors: kInvalidArgument when there is no such turn.
  ConversationTurn remove(size_t turn);
  // The same with the last one; nothing when there is none.
  std::optional<ConversationTurn> undo();
  // Takes all away.
  void clear() { turns_.clear(); }
  // A conversation that goes on from here by itself: what a copy is.
  Conversation branch() const { return *this; }

  // The sound of a turn, decoded from its codes now. Errors: kInvalidArgument when there is no such turn, kNotFound when it is text
  // alone.
  Audio audio(size_t turn) const;

  // One JSON file, written whole or not at all: turns with their codes, and the shape of the codec that made them. Errors: kIo.
  void save(const std::string& path) const;
  // Errors: kNotFound, kIo; kInvalidData (not such a file, damaged, of a later version), kUnsupported (of another codec).
  static Conversation load(std::shared_ptr<Engine> engine, const std::string& path, const ConversationOptions& options = {});

 private:
  void check_turn(size_t turn) const;

  std::shared_ptr<Engine> engine_;
  ConversationOptions options_;
  std::vector<ConversationTurn> turns_;
};

// The next turn of several conversations of one engine at once, a frame of each in turn: requests[i] is said in *conversations[i]. Each
// gets what it would get alone but for near-ties. Errors: kInvalidArgument (not as many of both, of several engines, one
// conversation twice), those of say; all conversations are then as they were.
std::vector<SpeechResult> say_all(const std::vector<Conversation*>& conversations,
                                  const std::vector<SpeechRequest>& requests,
                                  const std::function<bool(size_t index, const SpeechProgress&)>& on_progress);

}  // namespace csm
