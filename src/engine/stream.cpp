#include "engine/stream.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/channel.h"
#include "engine/options.h"
#include "engine/synthesis.h"

namespace csm {
namespace {

// What the job and the consumer share.
struct StreamState {
  explicit StreamState(size_t capacity) : chunks(capacity) {}

  BoundedChannel<std::vector<float>> chunks;  // one frame each
  CancelToken cancel;
  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  enum class Phase { kWaiting, kRunning, kDone } phase = Phase::kWaiting;
  SpeechResult result;  // so far
  std::exception_ptr error;
};

void add_frame(StreamState& state, const SpeechResult& so_far, std::span<const float> samples) {
  const std::lock_guard lock(state.mutex);
  SpeechResult& result = state.result;
  const auto n_codes = static_cast<ptrdiff_t>(result.codes.ids.size());
  result.codes.ids.insert(result.codes.ids.end(), so_far.codes.ids.begin() + n_codes, so_far.codes.ids.end());
  result.audio.samples.insert(result.audio.samples.end(), samples.begin(), samples.end());
  result.stats = so_far.stats;
}

// The job: runs on the inference thread and throws nothing.
void generate(StreamState& state, LoadedModel& model, const SpeechRequest& request, const Stopwatch& since) {
  {
    const std::lock_guard lock(state.mutex);
    if (state.phase == StreamState::Phase::kDone) return;  // dropped before its turn came
    state.phase = StreamState::Phase::kRunning;
  }
  SpeechResult result;
  std::exception_ptr error;
  try {
    result = synthesize(model, request, since, state.cancel,
                        [&](const SpeechResult& so_far, std::span<const float> samples) {
                          add_frame(state, so_far, samples);
                          return state.chunks.push(std::vector<float>(samples.begin(), samples.end()));
                        });
  } catch (...) {
    error = std::current_exception();
  }
  {
    const std::lock_guard lock(state.mutex);
    if (error) {
      state.error = std::move(error);
    } else {
      state.result = std::move(result);
    }
    state.phase = StreamState::Phase::kDone;
  }
  state.changed.notify_all();
  state.chunks.close();
}

class QueuedStream : public SpeechStream {
 public:
  QueuedStream(std::shared_ptr<Engine> engine, std::shared_ptr<StreamState> state)
      : engine_(std::move(engine)), state_(std::move(state)) {}

  // Stops the job. One that is running is waited for (a frame at most); one that still waits for its turn will find
  // itself done.
  ~QueuedStream() override {
    state_->cancel.cancel();
    state_->chunks.close();
    std::unique_lock lock(state_->mutex);
    if (state_->phase == StreamState::Phase::kWaiting) state_->phase = StreamState::Phase::kDone;
    state_->changed.wait(lock, [&] { return state_->phase == StreamState::Phase::kDone; });
  }

  bool next(std::vector<float>& samples) override {
    std::optional<std::vector<float>> chunk = state_->chunks.pop();
    if (chunk) {
      samples = std::move(*chunk);
      return true;
    }
    samples.clear();
    const std::lock_guard lock(state_->mutex);
    if (state_->error) std::rethrow_exception(state_->error);
    return false;
  }

  void cancel() override { state_->cancel.cancel(); }

  SpeechResult result() override {
    const std::lock_guard lock(state_->mutex);
    return state_->result;
  }

 private:
  std::shared_ptr<Engine> engine_;  // first, so that it is let go of last
  std::shared_ptr<StreamState> state_;
};

}  // namespace

std::unique_ptr<SpeechStream> start_stream(std::shared_ptr<Engine> keep_alive, LoadedModel& model,
                                           InferenceThread& thread, const SpeechRequest& request) {
  const Stopwatch since;
  validate_request(request);
  model.need_language_model();
  model.need_tokenizer();
  const auto state = std::make_shared<StreamState>(static_cast<size_t>(std::max(model.spec.max_positions, 1)));
  state->result.audio.sample_rate_hz = model.spec.codec.sample_rate_hz;
  state->result.codes.n_codebooks = model.n_codebooks();
  state->result.stats.seed = request.seed;
  state->result.stats.n_threads = model.n_threads;
  auto stream = std::make_unique<QueuedStream>(std::move(keep_alive), state);
  SpeechRequest streamed = request;  // what was heard cannot be drawn again
  if (streamed.guard.policy == GuardPolicy::kRetry) streamed.guard.policy = GuardPolicy::kStop;
  thread.submit([state, &model, streamed, since] { generate(*state, model, streamed, since); });
  return stream;
}

}  // namespace csm
