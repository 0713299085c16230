// The main path: a request becomes a prompt, the prompt frames of codes, the codes samples.
//
// Place in the flow: public calls -> synthesis -> prompt, language model, codec. Everything runs on the inference
// thread; only a CancelToken may be used elsewhere. The model is borrowed and must outlive what is made here.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <csm/engine.h>

#include "base/cancel.h"
#include "engine/conversation.h"
#include "engine/guard.h"
#include "engine/loaded_model.h"
#include "engine/stopwatch.h"
#include "engine/trim.h"

namespace csm {

// One request on its way to sound. Life: made (prompt and prefill), then begin_frame, LanguageModel::next_frames and
// end_frame in turns while going(), at last finish(). A batch is several of these in lock step, so that each one gets
// what it would get alone.
class Utterance {
 public:
  // since: when the request was made; every time in the statistics counts from there.
  // Errors: those of prepare_prompt; kResourceLimit when there is no memory for the positions.
  Utterance(LoadedModel& model, const SpeechRequest& request, const Stopwatch& since, const CancelToken& cancel);

  bool going() const { return going_; }
  // Gives the last frame to the model and asks for the next. The request borrows from this object until end_frame().
  FrameRequest begin_frame();
  // Looks at the codes that came: the end of speech, or a frame to keep. Returns the samples that are certain to stay, often
  // just a frame of them; the watermark holds back 20 ms, which come at the end. They are valid until the next call.
  // Errors: kInvalidData when the guard is to fail.
  std::span<const float> end_frame();
  // Ends it with what there is.
  void cancel();

  // All that has been made so far; statistics are up to date.
  const SpeechResult& so_far() const { return result_; }
  SpeechResult finish();

 private:
  void prefill(const PreparedPrompt& prepared);
  void decode(std::span<const int32_t> codes);
  std::optional<FinishReason> judge_frame(std::span<const int32_t> codes);
  void run_away(FinishReason reason);
  void cut_back(int n_frames);
  void restart();
  void keep_best();
  void release(int n_frames);
  void settle(FinishReason reason);
  FinishReason cancel_reason() const;
  void stop(FinishReason reason);
  void update_stats();

  LoadedModel& model_;
  Stopwatch since_;
  CancelToken cancel_;
  FrameSampling sampling_;
  int min_frames_ = 0;
  float stop_bias_ = 0;
  int max_frames_ = 0;
  bool going_ = true;
  bool frame_waits_ = false;       // row_ holds a frame that the model has not been given
  std::vector<int32_t> row_;       // [n_codebooks + 1]: the newest frame, text column 0
  std::vector<uint8_t> row_mask_;  // [n_codebooks + 1]: all but the text column
  PrefixPool::Loan prefilled_;     // the sequence, from the prompt on
  std::unique_ptr<CodecDecoder> decoder_;
  Guard guard_;
  SilenceTrim trim_;
  GuardPolicy policy_ = GuardPolicy::kOff;
  int retries_left_ = 0;
  bool is_limit_asked_for_ = false;  // max_frames_ is the request's own: reaching it is no missing end
  std::vector<float> waiting_;       // samples of the frames from n_released_ on
  int n_released_ = 0;               // frames whose samples are in the result
  WatermarkEmbedder mark_;
  std::vector<float> unmarked_;      // samples that stay, on their way through the watermark
  SpeechResult best_;  // of the attempts that ran away
  SpeechResult result_;
};

// Called after each frame with all that there is and the frame's samples; returns false to cancel.
using FrameSink = std::function<bool(const SpeechResult& so_far, std::span<const float> samples)>;

// The same for the request of that index of a batch.
using BatchFrameSink = std::function<bool(size_t index, const SpeechResult& so_far, std::span<const float> samples)>;

// One request from text to samples. Cancelling is not an error: the result says so and holds what there was.
SpeechResult synthesize(LoadedModel& model, const SpeechRequest& request, const Stopwatch& since,
                        const CancelToken& cancel, const FrameSink& on_frame);

// Several requests in lock step; those that end drop out. An error of one is an error of all and names it.
std::vector<SpeechResult> synthesize_batch(LoadedModel& model, const std::vector<SpeechRequest>& requests,
                                           const BatchFrameSink& on_frame);

// Gives a prompt to a sequence in pieces, so that a long one can be cancelled. Errors: kCancelled.
void append_prompt(LanguageModel& model, Sequence& sequence, const Prompt& prompt, const CancelToken& cancel);

// The logits along a forced or greedy path. Errors: kInvalidArgument (shapes, ids), kResourceLimit (window).
Trace trace_logits(LoadedModel& model, const TraceRequest& request);

}  // namespace csm
