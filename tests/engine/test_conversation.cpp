// Conversations: turns that become context, prefix reuse between them, files, branches, limits of time, several at once.
#include <fstream>

#include <unistd.h>

#include "engine_test.h"

namespace csm::test {
namespace {

constexpr const char* kTexts[] = {"Good morning.", "How are you?", "It is late.", "We must go home.", "Yes, we must."};

SpeechRequest request_of(int speaker, const std::string& text, uint64_t seed) {
  SpeechRequest request;
  request.speaker = speaker;
  request.text = text;
  request.seed = seed;
  request.max_seconds = 1.2;
  request.min_frames = 4;
  return request;
}

std::shared_ptr<Engine> open_without_cache() {
  EngineOptions options = options_for(std::string(CSM_MODELS_DIR) + "/demo");
  options.prefix_cache_sequences = 0;
  return Engine::open(options);
}

// Says the first n texts, two speakers in turns.
std::vector<SpeechResult> talk(Conversation& conversation, size_t n) {
  std::vector<SpeechResult> results;
  for (size_t i = 0; i < n; ++i) {
    results.push_back(conversation.say(request_of(static_cast<int>(i % 2), kTexts[i], i), {}));
  }
  return results;
}

std::string temporary(const std::string& name) {
  return ::testing::TempDir() + "/csm-conversation-" + std::to_string(::getpid()) + "-" + name;
}

TEST(Conversation, PrefixReuseEqualsAFreshPrefill) {
  Conversation reusing(open_demo());
  Conversation fresh(open_without_cache());
  const std::vector<SpeechResult> a = talk(reusing, 5);
  const std::vector<SpeechResult> b = talk(fresh, 5);
  int n_before = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].codes.ids, b[i].codes.ids) << "turn " << i;
    EXPECT_EQ(a[i].audio.samples, b[i].audio.samples) << "turn " << i;
    EXPECT_EQ(b[i].stats.n_reused_positions, 0);
    // All of the prompt before: what is new is the sound that came of it, and the new text.
    EXPECT_EQ(a[i].stats.n_reused_positions, n_before) << "turn " << i;
    n_before = a[i].stats.n_prompt_positions;
  }
  EXPECT_EQ(fresh.engine()->prefix_cache().n_sequences, 0);
  EXPECT_EQ(reusing.engine()->prefix_cache().n_sequences, 1) << "a conversation goes on in one sequence";
  reusing.engine()->clear_prefix_cache();
  EXPECT_EQ(reusing.engine()->prefix_cache().n_bytes, 0U);
}

TEST(Conversation, IsWhatARequestWithThatContextWouldBe) {
  const auto engine = open_demo();
  Conversation conversation(engine);
  const std::vector<SpeechResult> said = talk(conversation, 2);
  ASSERT_EQ(conversation.turns().size(), 2U);
  EXPECT_EQ(conversation.turns()[1].codes.ids, said[1].codes.ids);
  EXPECT_TRUE(conversation.turns()[1].generated);
  SpeechRequest request = request_of(0, kTexts[2], 2);
  request.context.push_back({0, kTexts[0], std::nullopt, said[0].codes});
  request.context.push_back({1, kTexts[1], std::nullopt, said[1].codes});
  const SpeechResult next = conversation.say(request_of(0, kTexts[2], 2), {});
  EXPECT_EQ(next.codes.ids, engine->synthesize(request, {}).codes.ids);
  EXPECT_EQ(conversation.audio(0).samples.size(), said[0].audio.samples.size());
}

TEST(Conversation, BranchesGoTheirOwnWay) {
  Conversation conversation(open_demo());
  talk(conversation, 2);
  Conversation branch = conversation.branch();
  const SpeechResult here = conversation.say(request_of(0, "I agree.", 5), {});
  const SpeechResult there = branch.say(request_of(0, "I do not agree.", 5), {});
  EXPECT_NE(here.codes.ids, there.codes.ids);
  EXPECT_GT(there.stats.n_reused_positions, 0) << "what both share is there";
  EXPECT_EQ(conversation.turns().size(), 3U);
  EXPECT_EQ(branch.turns().size(), 3U);
  ASSERT_TRUE(branch.undo());
  EXPECT_EQ(branch.say(request_of(0, "I agree.", 5), {}).codes.ids, here.codes.ids) << "undone is as never said";
}

TEST(Conversation, UndoTakesTurnsAwayUntilThereAreNone) {
  Conversation conversation(open_demo());
  talk(conversation, 2);
  EXPECT_EQ(conversation.undo()->text, kTexts[1]);
  EXPECT_EQ(conversation.undo()->text, kTexts[0]);
  EXPECT_FALSE(conversation.undo());
  EXPECT_TRUE(conversation.turns().empty());
  talk(conversation, 2);
  EXPECT_EQ(conversation.remove(0).text, kTexts[0]);
  ASSERT_EQ(conversation.turns().size(), 1U);
  EXPECT_EQ(conversation.turns()[0].text, kTexts[1]);
  error_of(ErrorCode::kInvalidArgument, [&] { conversation.remove(1); });
}

TEST(Conversation, TurnsFromOutsideAreEncodedAtOnce) {
  Conversation conversation(open_demo());
  conversation.add_turn({1, "Hello.", golden_clip("three_s"), std::nullopt, true});
  conversation.add_turn({0, "A remark.", std::nullopt, std::nullopt});
  ASSERT_EQ(conversation.turns().size(), 2U);
  EXPECT_GT(conversation.turns()[0].codes.n_frames(), 0);
  EXPECT_TRUE(conversation.turns()[0].pinned);
  EXPECT_FALSE(conversation.turns()[0].generated);
  EXPECT_EQ(conversation.turns()[1].codes.n_frames(), 0);
  EXPECT_GT(conversation.say(request_of(1, "Good day.", 1), {}).stats.n_prompt_positions,
            conversation.turns()[0].codes.n_frames());
  error_of(ErrorCode::kNotFound, [&] { (void)conversation.audio(1); });
}

TEST(Conversation, ErrorsLeaveItAsItWas) {
  Conversation conversation(open_demo());
  talk(conversation, 1);
  const auto refused = [&](const std::function<void(SpeechRequest&)>& change) {
    SpeechRequest request = request_of(0, "Yes.", 1);
    change(request);
    return error_of(ErrorCode::kInvalidArgument, [&] { conversation.say(request, {}); });
  };
  EXPECT_TRUE(contains(refused([](SpeechRequest& r) { r.text = " "; }), "empty"));
  EXPECT_TRUE(contains(refused([](SpeechRequest& r) { r.context.push_back({0, "x", std::nullopt, std::nullopt}); }), "add_turn"));
  EXPECT_TRUE(contains(refused([](SpeechRequest& r) { r.deadline_seconds = 0; }), "deadline is 0"));
  error_of(ErrorCode::kInvalidArgument, [&] { conversation.add_turn({0, "x\xFF", std::nullopt, std::nullopt}); });
  error_of(ErrorCode::kInvalidArgument, [&] { conversation.add_turn({0, "x", std::nullopt, Codes{{900, 1, 1, 1, 1, 1, 1, 1}, 8}}); });
  error_of(ErrorCode::kInvalidArgument, [&] { conversation.set_pinned(7, true); });
  error_of(ErrorCode::kInvalidArgument, [&] { (void)conversation.audio(1); });
  SpeechRequest too_long = request_of(0, "Yes.", 1);
  too_long.max_seconds = 1000;
  ConversationOptions all;
  all.context.strategy = ContextStrategy::kNone;
  conversation.set_options(all);
  error_of(ErrorCode::kResourceLimit, [&] { conversation.say(too_long, {}); });
  ConversationOptions bad;
  bad.context.compressed_seconds = -1;
  error_of(ErrorCode::kInvalidArgument, [&] { conversation.set_options(bad); });
  EXPECT_EQ(conversation.options().context.strategy, ContextStrategy::kNone);
  EXPECT_EQ(conversation.turns().size(), 1U);
}

TEST(Conversation, CancellingStopsWithinAFrameAndKeepsNothing) {
  Conversation conversation(open_demo());
  talk(conversation, 1);
  int n_calls = 0;
  SpeechProgress last;
  size_t n_samples = 0;
  const SpeechResult result = conversation.say(request_of(0, "It is a long way to the sea.", 3), [&](const SpeechProgress& progress) {
    last = progress;
    n_samples += progress.n_samples;
    return ++n_calls < 3;
  });
  EXPECT_EQ(result.stats.finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(last.n_frames, 3);
  EXPECT_EQ(result.codes.n_frames(), 3);
  EXPECT_LE(n_samples, result.audio.samples.size());
  EXPECT_GT(n_samples, 0U);
  EXPECT_GT(last.expected_seconds, last.audio_seconds);
  EXPECT_GT(last.real_time_factor, 0);
  EXPECT_EQ(conversation.turns().size(), 1U);
}

TEST(Conversation, DeadlinesStopIt) {
  Conversation conversation(open_demo());
  SpeechRequest request = request_of(0, "It is a long way to the sea.", 3);
  request.deadline_seconds = 1e-6;
  const SpeechResult none = conversation.say(request, {});
  EXPECT_EQ(none.stats.finish_reason, FinishReason::kDeadline);
  EXPECT_STREQ(to_string(none.stats.finish_reason), "deadline");
  EXPECT_EQ(none.codes.n_frames(), 0);
  EXPECT_TRUE(conversation.turns().empty());
  request.deadline_seconds = 1000;
  EXPECT_NE(conversation.say(request, {}).stats.finish_reason, FinishReason::kDeadline);
  EXPECT_EQ(conversation.turns().size(), 1U);
}

TEST(Conversation, SeveralSpeakInLockStep) {
  const auto engine = open_demo();
  std::vector<Conversation> together(3, Conversation(engine));
  std::vector<Conversation> alone(3, Conversation(open_without_cache()));
  std::vector<Conversation*> pointers;
  for (Conversation& conversation : together) pointers.push_back(&conversation);
  std::vector<int> n_frames(3);
  for (size_t round = 0; round < 2; ++round) {
    std::vector<SpeechRequest> requests;
    for (size_t i = 0; i < 3; ++i) requests.push_back(request_of(static_cast<int>(i % 2), kTexts[i + round], i));
    const std::vector<SpeechResult> results = say_all(pointers, requests, [&](size_t index, const SpeechProgress& progress) {
      n_frames[index] = progress.n_frames;
      return true;
    });
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(results[i].codes.ids, alone[i].say(requests[i], {}).codes.ids);
      EXPECT_EQ(results[i].codes.n_frames(), n_frames[i]);
      EXPECT_EQ(together[i].turns().size(), round + 1);
      if (round == 1) EXPECT_GT(results[i].stats.n_reused_positions, 0);
    }
  }
}

TEST(Conversation, SayingAllAtOnceIsAllOrNothing) {
  Conversation a(open_demo());
  Conversation b(a.engine());
  Conversation elsewhere(open_demo());
  const SpeechRequest yes = request_of(0, "Yes.", 1);
  error_of(ErrorCode::kInvalidArgument, [&] { say_all({&a}, {yes, yes}, {}); });
  EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidArgument, [&] { say_all({&a, &a}, {yes, yes}, {}); }), "twice"));
  EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidArgument, [&] { say_all({&a, &elsewhere}, {yes, yes}, {}); }), "another engine"));
  EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidArgument, [&] { say_all({&a, &b}, {yes, request_of(0, "", 1)}, {}); }), "request 2 of 2"));
  EXPECT_TRUE(a.turns().empty());
  EXPECT_TRUE(say_all({}, {}, {}).empty());
  const auto results = say_all({&a, &b}, {yes, yes}, [](size_t index, const SpeechProgress&) { return index == 0; });
  EXPECT_EQ(results[1].stats.finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(results[1].codes.n_frames(), 1);
  EXPECT_EQ(a.turns().size(), 1U);
  EXPECT_TRUE(b.turns().empty()) << "the other one goes on";
}

TEST(Conversation, FilesBringItBack) {
  const std::string path = temporary("saved.json");
  const auto engine = open_demo();
  Conversation conversation(engine);
  conversation.add_turn({1, "Gr\xC3\xBC\xC3\x9F \"dich\".\n", std::nullopt, std::nullopt, true});
  talk(conversation, 2);
  conversation.save(path);
  Conversation loaded = Conversation::load(engine, path);
  ASSERT_EQ(loaded.turns().size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(loaded.turns()[i].speaker, conversation.turns()[i].speaker);
    EXPECT_EQ(loaded.turns()[i].text, conversation.turns()[i].text);
    EXPECT_EQ(loaded.turns()[i].codes.ids, conversation.turns()[i].codes.ids);
    EXPECT_EQ(loaded.turns()[i].pinned, conversation.turns()[i].pinned);
    EXPECT_EQ(loaded.turns()[i].generated, conversation.turns()[i].generated);
  }
  const SpeechRequest next = request_of(0, "And so on.", 9);
  EXPECT_EQ(loaded.say(next, {}).codes.ids, conversation.say(next, {}).codes.ids);
  EXPECT_TRUE(contains(error_of(ErrorCode::kUnsupported, [&] { Conversation::load(open_tiny("csm-tiny-b"), path); }), "another codec"));
  std::remove(path.c_str());
  error_of(ErrorCode::kNotFound, [&] { Conversation::load(engine, path); });
  error_of(ErrorCode::kIo, [&] { conversation.save("/nowhere/at/all.json"); });
}

}  // namespace
}  // namespace csm::test
