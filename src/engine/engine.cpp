// The public class: hands every call to the inference thread.
#include <csm/engine.h>

#include <algorithm>
#include <utility>

#include "backends/registry.h"
#include "base/fail.h"
#include "cache/file_weight_cache.h"
#include "engine/backend_choice.h"
#include "engine/conversation.h"
#include "engine/inference_thread.h"
#include "engine/memory_plan.h"
#include "engine/options.h"
#include "engine/sound.h"
#include "engine/stream.h"
#include "engine/synthesis.h"
#include "engine/tokenize.h"
#include "model/kv_cache.h"

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

SpeechProgress progress_of(const SpeechResult& so_far, std::span<const float> samples) {
  SpeechProgress progress;
  progress.n_frames = so_far.stats.n_frames;
  progress.audio_seconds = so_far.stats.audio_seconds;
  progress.real_time_factor = so_far.stats.real_time_factor;
  progress.expected_seconds = std::max(so_far.stats.expected_seconds, so_far.stats.audio_seconds);
  progress.samples = samples.data();
  progress.n_samples = samples.size();
  return progress;
}

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
      model_.prefixes.reset();
      model_.language_model.reset();
      model_.backend.reset();
    });
  }

  int sample_rate_hz() const override { return model_.spec.codec.sample_rate_hz; }
  int n_codebooks() const override { return model_.n_codebooks(); }
  int codebook_size() const override { return model_.spec.codec.codebook_size; }
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
      sink = [&](const SpeechResult& so_far, std::span<const float> samples) {
        return on_progress(progress_of(so_far, samples));
      };
    }
    return thread_.run([&] { return csm::synthesize(model_, request, since, CancelToken(), sink); });
  }

  std::unique_ptr<SpeechStream> start(const SpeechRequest& request) override {
    return start_stream(shared_from_this(), model_, thread_, request);
  }

  using Engine::synthesize_batch;
  std::vector<SpeechResult> synthesize_batch(
      const std::vector<SpeechRequest>& requests,
      const std::function<bool(size_t, const SpeechProgress&)>& on_progress) override {
    BatchFrameSink sink;
    if (on_progress) {
      sink = [&](size_t index, const SpeechResult& so_far, std::span<const float> samples) {
        return on_progress(index, progress_of(so_far, samples));
      };
    }
    return thread_.run([&] { return csm::synthesize_batch(model_, requests, sink); });
  }

  ContextReport context_report(const SpeechRequest& request) override {
    return thread_.run([&] { return csm::context_report(model_, request); });
  }

  PrefixCacheStats prefix_cache() override {
    return thread_.run([&] { return model_.prefixes ? model_.prefixes->stats() : PrefixCacheStats(); });
  }

  void clear_prefix_cache() override {
    thread_.run([&] {
      if (model_.prefixes) model_.prefixes->clear();
    });
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
    std::string memory_note;
    const auto load_with = [&](Backend& backend) {
      model.language_model.reset();
      if (options.memory_limit_bytes > 0) memory_note = keep_within(options, *checkpoint, backend.name(), choice, model);
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
    if (!memory_note.empty()) model.notes.push_back(memory_note);
    model.kv_type = choice.kv_type;
    if (model.language_model) {
      const PrefixPoolLimits limits{options.prefix_cache_sequences, options.prefix_cache_bytes, model.kv_limit_bytes};
      model.prefixes = std::make_unique<PrefixPool>(*model.language_model, choice.kv_type, limits);
    }
    model_ = std::move(model);
  }

  // Chooses the type of keys and values and shortens the window, so that all stays within the limit; says what it chose.
  static std::string keep_within(const EngineOptions& options, const Checkpoint& checkpoint, const std::string& backend,
                          BackendOptions& choice, LoadedModel& model) {
    if (!checkpoint.spec().has_language_model) return "";
    const bool is_free = is_auto_kv_type(options);
    const std::vector<KvType> types =
        is_free ? possible_kv_types(checkpoint.spec(), backend) : std::vector<KvType>{choice.kv_type};
    const MemoryPlan plan = plan_memory(checkpoint.spec(), weight_bytes_in_memory(checkpoint, choice),
                                        options.memory_limit_bytes, types);
    choice.kv_type = plan.kv_type;
    model.kv_limit_bytes = plan.kv_bytes;
    model.spec.max_positions = plan.max_positions;
    return fmt::format(
        "memory limit {:.1f} MB: {:.1f} MB of weights, {:.1f} MB for keys and values in {}; window of {} of {} positions",
        static_cast<double>(options.memory_limit_bytes) / 1e6, static_cast<double>(plan.weight_bytes) / 1e6,
        static_cast<double>(plan.kv_bytes) / 1e6, to_string(plan.kv_type), plan.max_positions,
        checkpoint.spec().max_positions);
  }

  LoadedModel model_;
  InferenceThread thread_;  // last, so that it is joined before the model goes
};

}  // namespace

std::shared_ptr<Engine> Engine::open(const EngineOptions& options) { return std::make_shared<LocalEngine>(options); }

}  // namespace csm
