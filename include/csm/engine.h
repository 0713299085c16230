// The engine: a loaded model that speaks.
//
// Engine::open loads weights once; the weights are immutable. One inference thread per engine does all the arithmetic;
// public calls may come from any thread and are served in order. A stream or result never outlives what it needs: streams
// keep their engine alive.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <csm/error.h>
#include <csm/speech.h>

namespace csm {

struct EngineOptions {
  std::string model;             // directory or file of a checkpoint
  std::string backend = "auto";  // "auto" (the first that starts), "ggml" or "mlx"
  std::string device = "auto";   // "auto", "cpu", or a device name as `csm doctor` lists it
  int n_threads = 0;             // 0 = physical cores
  // Arithmetic type of matrices: "auto", "f32", "f16", "bf16". auto = f32 while that takes at most 1 GB, else as stored.
  std::string dtype = "auto";
  // "" or one of q8_0, q6_K, q5_K, q4_K, q4_0, iq4_nl for both parts, or "backbone=q8_0,depth=q6_K". Weights that a file holds
  // quantised are used as they are.
  std::string quantize;
  std::string codec_dtype = "f32";  // "f32" or "f16"
  std::string kv_type = "auto";     // "auto" (f32, or less where memory_limit_bytes asks for it), "f32", "f16" or "q8_0"
  // What the process may use, 0 = no limit: weights, working memory, keys and values. The type of keys and values and the number of
  // positions (prompt and speech together) follow from it; Engine::notes says what they became.
  uint64_t memory_limit_bytes = 0;
  // Prompts whose keys and values stay in memory, so that a request whose prompt begins like one of them is computed from where it
  // differs, with the same result. 0 sequences: none.
  int prefix_cache_sequences = 4;
  uint64_t prefix_cache_bytes = uint64_t{1} << 30;

  // Where the MLX backend keeps converted weights between starts (csm/cache.h): "auto" (WeightCacheOptions::from_environment),
  // "off", or a directory; and how much of them ("16G", bytes without a unit; "auto").
  std::string weight_cache = "auto";
  std::string weight_cache_limit = "auto";
  // Memory of the MLX backend: sizes as above, or "auto" for what suits the device. MLX has one set of these for the
  // process, so the engine opened last decides.
  std::string mlx_cache_limit = "auto";       // freed buffers that are kept for reuse
  std::string mlx_memory_limit = "auto";      // MLX's guideline for all of its memory
  std::string mlx_wired_limit = "auto";       // memory that stays resident; Metal only
  std::string mlx_clear_cache = "utterance";  // when kept buffers go back to the system: "utterance" (at its end) or "never"

  void validate() const;
};

// Prompts that wait in memory to be continued.
struct PrefixCacheStats {
  int n_sequences = 0;
  int n_positions = 0;   // of all of them
  uint64_t n_bytes = 0;  // of keys and values, with the room that sequences have left
};

struct TokenizeResult {
  std::vector<int> ids;             // of the text alone
  std::vector<std::string> tokens;  // printable form of each of them
  std::vector<int> ids_bos_eos;     // with what the tokenizer's post-processor puts around a text (BOS, EOS)
};

// What the model would be given for a request: [n_positions, n_codebooks + 1], last column = text.
struct Prompt {
  std::vector<int32_t> frames;
  std::vector<uint8_t> mask;
  int n_columns = 0;

  int n_positions() const { return n_columns > 0 ? static_cast<int>(frames.size()) / n_columns : 0; }
};

// Logits along a path of codes: the tool for parity, for judging quantisation and for comparing backends.
struct TraceRequest {
  Prompt prompt;
  std::optional<Codes> forced;  // teacher forcing; unset: greedy
  int max_frames = 0;           // greedy: at most this many frames, the all-zero one included
};

struct Trace {
  Codes codes;
  std::vector<float> logits;  // [n_frames, n_codebooks, audio_vocab]
  std::vector<float> hidden;  // [n_frames, backbone_width]
  int audio_vocab = 0;
  int backbone_width = 0;
};

// Samples that arrive while the rest is still being generated. Not thread-safe: one consumer.
class SpeechStream {
 public:
  virtual ~SpeechStream() = default;
  // Blocks for the next samples, about a frame of them; false at the end. Rethrows what stopped the generation.
  virtual bool next(std::vector<float>& samples) = 0;
  // Stops within one frame; next() then returns what is left and false. Safe from any thread.
  virtual void cancel() = 0;
  // Codes and statistics so far; complete once next() has returned false.
  virtual SpeechResult result() = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;

  // Errors: kNotFound, kInvalidData (one message lists all that is missing, misshapen, unknown or non-finite), kUnsupported,
  // kResourceLimit.
  static std::shared_ptr<Engine> open(const EngineOptions& options);

  virtual int sample_rate_hz() const = 0;
  virtual int n_codebooks() const = 0;
  virtual int codebook_size() const = 0;  // codes of each codebook
  virtual int frame_samples() const = 0;
  virtual bool has_language_model() const = 0;  // false: a codec-only checkpoint
  virtual int n_threads() const = 0;
  virtual std::string backend() const = 0;  // "ggml" or "mlx": which one was chosen
  // What went otherwise than asked when the model was opened, one line each: another backend took over.
  virtual std::vector<std::string> notes() const = 0;
  virtual SamplingOptions default_backbone_sampling() const = 0;
  virtual SamplingOptions default_depth_sampling() const = 0;

  // Generates the whole utterance. The callback (may be empty) returns false to cancel.
  virtual SpeechResult synthesize(const SpeechRequest& request,
                                  const std::function<bool(const SpeechProgress&)>& on_progress) = 0;
  virtual std::unique_ptr<SpeechStream> start(const SpeechRequest& request) = 0;
  // Several requests in lock step; each gets what it would get alone but for near-ties. The callback (may be empty) is told which
  // request has a new frame, and returns false to cancel that one.
  virtual std::vector<SpeechResult> synthesize_batch(
      const std::vector<SpeechRequest>& requests,
      const std::function<bool(size_t index, const SpeechProgress&)>& on_progress) = 0;
  std::vector<SpeechResult> synthesize_batch(const std::vector<SpeechRequest>& requests) {
    return synthesize_batch(requests, {});
  }

  // Which turns of a request's context would be kept, and the room they take; nothing is encoded or spoken. With strategy kNone the
  // account is given even when it does not fit. Errors: as synthesize's for the request and for pinned turns that do not fit.
  virtual ContextReport context_report(const SpeechRequest& request) = 0;

  virtual PrefixCacheStats prefix_cache() = 0;
  virtual void clear_prefix_cache() = 0;

  virtual Prompt prompt(const SpeechRequest& request) = 0;
  virtual Trace trace(const TraceRequest& request) = 0;

  virtual TokenizeResult tokenize(const std::string& text) = 0;

  // Codec alone. encode: any rate, resampled; n_codebooks 0 = all the codec has. decode: sample_rate_hz() out.
  virtual Codes encode(const Audio& audio, int n_codebooks) = 0;
  virtual Audio decode(const Codes& codes) = 0;
};

}  // namespace csm
