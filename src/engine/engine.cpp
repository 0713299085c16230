// The public class: hands every call to the inference thread.
#include <csm/engine.h>

#include <utility>

#include "backends/registry.h"
#include "base/fail.h"
#include "cache/file_weight_cache.h"
#include "engine/backend_choice.h"
#include "engine/conversation.h"
#include "engine/inference_thread.h"
#include "engine/options.h"
#include "engine/sound.h"
#include "engine/stream.h"
#include "engine/synthesis.h"
#include "engine/tokenize.h"

namespace csm {

LanguageModel& LoadedModel::need_language_model() const {
  if (!language_model) {
    fail(ErrorCode::kUnsupported, "'{}' holds a codec alone, which cannot speak; give a CSM model", files.directory);
  }
  return *language_model;
}

const Tokenizer& LoadedModel::need_tokenizer() const {
  if (!tokenizer) {
    fail(ErrorCode::kNotFound, "'{}' has no tokenizer.json or tokenizer.model, which text needs; copy one there from the model's origin",
         files.directory);
  }
  return *tokenizer;
}

namespace {

class LocalEngine : public Engine, public std::enable_shared_from_this<LocalEngine> {
 public:
  explicit LocalEngine(const EngineOptions& options) {
    options.validate();
    thread_.run([&] { load(options); });
  }

  // What belongs to the inference thread goes there, after the jobs that still wait.
  ~LocalEngine() override {
    thread_.submit([this] {
      model_.codec.reset();
      model_.language_model.reset();
      model_.backend.reset();
    });
  }

  int sample_rate_hz() const override { return model_.spec.codec.sample_rate_hz; }
  int n_codebooks() const override { return model_.n_codebooks(); }
  int frame_samples() const override { return model_.spec.codec.frame_samples(); }
  bool has_language_model() const override { return model_.spec.has_language_model; }
  int n_threads() const override { return model_.n_threads; }
  std::string backend() const override { return model_.backend->name(); }
  std::vector<std::string> notes() const override { return model_.notes; }
  SamplingOptions default_backbone_sampling() const override { return model_.spec.backbone_sampling; }
  SamplingOptions default_depth_sampling() const override { return model_.spec.depth_sampling; }

  SpeechResult synthesize(const SpeechRequest& request,
                          const std::function<bool(const SpeechProgress&)>& on_progress) override {
    const Stopwatch since;
    FrameSink sink;
    if (on_progress) {
      sink = [&](const SpeechResult& so_far, std::span<const float>) {
        return on_progress({so_far.stats.n_frames, so_far.stats.audio_seconds, so_far.stats.real_time_factor});
      };
    }
    return thread_.run([&] { return csm::synthesize(model_, request, since, CancelToken(), sink); });
  }

  std::unique_ptr<SpeechStream> start(const SpeechRequest& request) override {
    return start_stream(shared_from_this(), model_, thread_, request);
  }

  std::vector<SpeechResult> synthesize_batch(const std::vector<SpeechRequest>& requests) override {
    return thread_.run([&] { return csm::synthesize_batch(model_, requests); });
  }

  Prompt prompt(const SpeechRequest& request) override {
    return thread_.run([&] { return prepare_prompt(model_, request, CancelToken()).prompt; });
  }

  Trace trace(const TraceRequest& request) override {
    return thread_.run([&] { return trace_logits(model_, request); });
  }

  TokenizeResult tokenize(const std::string& text) override { return tokenize_text(model_.need_tokenizer(), text); }

  Codes encode(const Audio& audio, int n_codebooks) override {
    return thread_.run([&] { return encode_audio(model_, audio, n_codebooks, CancelToken()); });
  }

  Audio decode(const Codes& codes) override {
    return thread_.run([&] { return decode_codes(model_, codes); });
  }

 private:
  void load(const EngineOptions& options) {
    LoadedModel model;  // an unfinished one is destroyed here, on its thread
    model.files = find_model_files(options.model);
    const std::shared_ptr<FileWeightCache> cache = open_weight_cache(options, model.files);
    // What was good when it was converted is good as long as the files are as they were.
    const bool is_known = cache != nullptr && cache->knows_files();
    const std::shared_ptr<const Checkpoint> checkpoint =
        load_checkpoint(model.files, is_known ? WeightCheck::kShapesOnly : WeightCheck::kValues);
    model.spec = checkpoint->spec();
    if (!model.files.tokenizer.empty()) model.tokenizer = load_tokenizer(model.files);
    BackendOptions choice = backend_options(options, *checkpoint);
    choice.weight_cache = cache;
    const auto load_with = [&](Backend& backend) {
      model.language_model.reset();
      if (model.spec.has_language_model) model.language_model = backend.load_language_model(checkpoint, choice);
      model.codec = backend.load_codec(checkpoint, choice);
    };
    const bool is_free = options.backend == "auto" && !backend_names().empty();
    const std::vector<std::string> names = is_free ? backend_names() : std::vector<std::string>{options.backend};
    model.backend = open_first_backend(names, load_with, model.notes);
    if (cache != nullptr) {
      cache->remember_files();
      model.notes.insert(model.notes.end(), cache->notes().begin(), cache->notes().end());
    }
    model.n_threads = choice.n_threads > 0 ? choice.n_threads : model.backend->default_threads();
    model_ = std::move(model);
  }

  LoadedModel model_;
  InferenceThread thread_;  // last, so that it is joined before the model goes
};

}  // namespace

std::shared_ptr<Engine> Engine::open(const EngineOptions& options) { return std::make_shared<LocalEngine>(options); }

}  // namespace csm
