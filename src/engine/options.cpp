#include "engine/options.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string_view>
#include <utility>

#include "backends/registry.h"
#include "base/byte_size.h"
#include "base/fail.h"
#include "base/utf8.h"
#include "cache/file_weight_cache.h"
#include "model/manifest.h"
#include "model/weight_types.h"

namespace csm {
namespace {

constexpr int kMaxThreads = 1024;
constexpr float kMaxStopBias = 1000;
constexpr int kMaxIdleSequences = 1024;
constexpr uint64_t kMaxAutoF32Bytes = 1'000'000'000;  // dtype "auto" widens up to here
constexpr double kLeastSeconds = 1;                   // less room than this is no room for speech,
constexpr double kMaxDeadlineSeconds = 1e6;
constexpr int kLeastPart = 8;                         // or than this part of the window, whichever is less

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

template <typename T>
struct Word {
  const char* name;
  T value;
};

constexpr Word<WeightType> kDtypes[] = {
    {"auto", WeightType::kAsStored}, {"f32", WeightType::kF32}, {"f16", WeightType::kF16}, {"bf16", WeightType::kBF16}};
constexpr Word<WeightType> kQuantizedTypes[] = {{"q8_0", WeightType::kQ8_0},
                                                {"q6_K", WeightType::kQ6_K},
                                                {"q5_K", WeightType::kQ5_K},
                                                {"q4_K", WeightType::kQ4_K},
                                                {"q4_0", WeightType::kQ4_0},
                                                {"iq4_nl", WeightType::kIQ4_NL}};
constexpr Word<WeightType> kCodecDtypes[] = {{"f32", WeightType::kF32}, {"f16", WeightType::kF16}};
constexpr Word<bool> kClearing[] = {{"utterance", true}, {"never", false}};
constexpr Word<KvType> kKvTypes[] = {
    {"auto", KvType::kF32}, {"f32", KvType::kF32}, {"f16", KvType::kF16}, {"q8_0", KvType::kQ8_0}};

// The value of a word; option and hint make the message.
template <typename T, size_t n>
T parse_word(const Word<T> (&words)[n], const char* option, const std::string& text, const char* hint = "") {
  std::string known;
  for (const auto& word : words) {
    if (lower(text) == lower(word.name)) return word.value;
    known += (known.empty() ? "" : ", ") + std::string(word.name);
  }
  fail(ErrorCode::kInvalidArgument, "{} is '{}'; expected one of {}{}", option, text, known, hint);
}

WeightType parse_quantized_type(const std::string& text) {
  return parse_word(kQuantizedTypes, "quantize", text, ", or a list as 'backbone=q8_0,depth=q6_K'");
}

// The blanks of Unicode: a text of these alone has nothing to speak.
bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200B) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000 ||
         c == 0xFEFF;
}

// Of valid UTF-8.
bool is_blank(std::string_view text) {
  for (size_t position = 0; position < text.size();) {
    if (!is_space(next_code_point(text, position))) return false;
  }
  return true;
}

void check_text(const std::string& text, const std::string& what) {
  const size_t bad = first_invalid_utf8(text);
  if (bad == std::string::npos) return;
  fail(ErrorCode::kInvalidArgument,
       "{} is not valid UTF-8: byte {} (0x{:02X}) starts no character; convert it to UTF-8", what, bad,
       static_cast<unsigned char>(text[bad]));
}

void check_turn(const Turn& turn, size_t index) {
  const std::string what = fmt::format("context turn {}", index + 1);
  check_text(turn.text, "the text of " + what);
  if (turn.audio && turn.codes) {
    fail(ErrorCode::kInvalidArgument, "{} has both audio and codes; give one of them", what);
  }
  if (turn.audio && turn.audio->samples.empty()) {
    fail(ErrorCode::kInvalidArgument, "the audio of {} has no samples; leave it out or give a recording", what);
  }
  if (turn.codes && (turn.codes->n_codebooks < 1 || turn.codes->ids.empty() ||
                     turn.codes->ids.size() % static_cast<size_t>(turn.codes->n_codebooks) != 0)) {
    fail(ErrorCode::kInvalidArgument,
         "the codes of {} have {} ids in {} codebooks; expected whole frames, at least one", what,
         turn.codes->ids.size(), turn.codes->n_codebooks);
  }
}

// nullopt: "auto".
std::optional<uint64_t> parse_limit(const std::string& text, const char* option) {
  if (text == "auto") return std::nullopt;
  return parse_byte_size(text, option);
}

MemoryOptions memory_options(const EngineOptions& options) {
  MemoryOptions memory;
  memory.cache_limit_bytes = parse_limit(options.mlx_cache_limit, "mlx cache limit");
  memory.memory_limit_bytes = parse_limit(options.mlx_memory_limit, "mlx memory limit");
  memory.wired_limit_bytes = parse_limit(options.mlx_wired_limit, "mlx wired limit");
  memory.clears_after_utterance = parse_word(kClearing, "mlx clear cache", options.mlx_clear_cache);
  return memory;
}

}  // namespace

void EngineOptions::validate() const {
  if (model.empty()) fail(ErrorCode::kInvalidArgument, "no model given; expected a model directory or file");
  if (n_threads < 0 || n_threads > kMaxThreads) {
    fail(ErrorCode::kInvalidArgument, "threads is {}; expected 0 (physical cores) to {}", n_threads, kMaxThreads);
  }
  if (prefix_cache_sequences < 0 || prefix_cache_sequences > kMaxIdleSequences) {
    fail(ErrorCode::kInvalidArgument, "prefix-cache is {}; expected 0 (off) to {} sequences", prefix_cache_sequences,
         kMaxIdleSequences);
  }
  parse_word(kDtypes, "dtype", dtype);
  parse_word(kCodecDtypes, "codec dtype", codec_dtype);
  parse_word(kKvTypes, "kv type", kv_type);
  parse_quantize(quantize);
  (void)memory_options(*this);
  (void)WeightCacheOptions::resolve(weight_cache, weight_cache_limit);
  const std::vector<std::string> names = backend_names();
  if (backend != "auto" && std::find(names.begin(), names.end(), backend) == names.end()) {
    fail(ErrorCode::kInvalidArgument, "backend is '{}'; expected auto{}{}", backend, names.empty() ? "" : " or ",
         fmt::join(names, ", "));
  }
}

QuantizeChoice parse_quantize(const std::string& text) {
  QuantizeChoice choice;
  if (text.empty()) return choice;
  if (text.find('=') == std::string::npos) {
    choice.backbone = choice.depth = parse_quantized_type(text);
    return choice;
  }
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string item = text.substr(begin, end - begin);
    const size_t equals = item.find('=');
    const std::string part = lower(item.substr(0, equals));
    if (equals == std::string::npos || (part != "backbone" && part != "depth")) {
      fail(ErrorCode::kInvalidArgument, "quantize has '{}'; expected backbone=TYPE or depth=TYPE, separated by commas",
           item);
    }
    std::optional<WeightType>& chosen = part == "depth" ? choice.depth : choice.backbone;
    if (chosen) fail(ErrorCode::kInvalidArgument, "quantize '{}' names {} twice", text, part);
    chosen = parse_quantized_type(item.substr(equals + 1));
    begin = end + 1;
  }
  return choice;
}

bool is_auto_kv_type(const EngineOptions& options) { return lower(options.kv_type) == "auto"; }

int64_t count_language_model_weights(const Checkpoint& checkpoint) {
  static constexpr std::string_view kParts[] = {"backbone_model.", "depth_decoder.", "lm_head.", "embed_text_tokens."};
  int64_t n = 0;
  for (const std::string& name : checkpoint.names()) {
    const bool ours = std::any_of(std::begin(kParts), std::end(kParts),
                                  [&](std::string_view part) { return name.compare(0, part.size(), part) == 0; });
    // A tied table may be listed under both of its names.
    const bool counted = checkpoint.spec().tied_audio_embeddings && name == kDepthAudioTable;
    if (ours && !counted) n += checkpoint.tensor(name).n_elements();
  }
  return n;
}

namespace {

// The type of a part's matrices. Weights that are stored quantised stay as they are, and nothing else can be asked of them.
WeightType part_type(const Checkpoint& checkpoint, ModelPart part, std::optional<WeightType> quantized, WeightType dtype,
                     bool is_auto) {
  const WeightType wanted = quantized.value_or(dtype);
  const bool is_asked = quantized.has_value() || !is_auto;
  bool is_stored_quantised = false;
  for (const ManifestEntry& entry : manifest(checkpoint.spec())) {
    if (!entry.may_quantise || entry.part != part) continue;
    const DType stored = checkpoint.tensor(entry.name).type;
    if (!is_quantised(stored)) continue;
    is_stored_quantised = true;
    if (is_asked && dtype_of(matrix_type(entry, wanted)) != stored) {
      fail(ErrorCode::kInvalidArgument,
           "the model's {} is stored as {} and cannot become {}: quantised weights are used as they are; leave out {}, or convert the "
           "model anew from its float weights",
           to_string(part), to_string(stored), to_string(wanted), quantized ? "--quantize" : "--dtype");
    }
  }
  return is_stored_quantised ? WeightType::kAsStored : wanted;
}

}  // namespace

BackendOptions backend_options(const EngineOptions& options, const Checkpoint& checkpoint) {
  BackendOptions result;
  result.device = options.device;
  result.n_threads = options.n_threads;
  WeightType dtype = parse_word(kDtypes, "dtype", options.dtype);
  if (dtype == WeightType::kAsStored) {
    const uint64_t f32_bytes = static_cast<uint64_t>(count_language_model_weights(checkpoint)) * sizeof(float);
    if (f32_bytes <= kMaxAutoF32Bytes) dtype = WeightType::kF32;
  }
  const bool is_auto = parse_word(kDtypes, "dtype", options.dtype) == WeightType::kAsStored;
  const QuantizeChoice quantized = parse_quantize(options.quantize);
  result.backbone_type = part_type(checkpoint, ModelPart::kBackbone, quantized.backbone, dtype, is_auto);
  result.depth_type = part_type(checkpoint, ModelPart::kDepth, quantized.depth, dtype, is_auto);
  const auto packed = [&](const std::optional<WeightType>& asked) {
    return is_auto && !asked ? PackedWeights::kKeep : PackedWeights::kUnpack;
  };
  result.backbone_packed = packed(quantized.backbone);
  result.depth_packed = packed(quantized.depth);
  result.codec_type = parse_word(kCodecDtypes, "codec dtype", options.codec_dtype);
  result.kv_type = parse_word(kKvTypes, "kv type", options.kv_type);
  result.memory = memory_options(options);
  return result;
}

std::shared_ptr<FileWeightCache> open_weight_cache(const EngineOptions& options, const ModelFiles& files) {
  const std::vector<std::string> names = backend_names();
  const std::string backend = options.backend == "auto" && !names.empty() ? names.front() : options.backend;
  if (backend != "mlx") return nullptr;
  // All that decides the weights: the configuration names shapes and layout.
  std::vector<std::string> sources = files.weights;
  if (!files.config.empty()) sources.push_back(files.config);
  return std::make_shared<FileWeightCache>(WeightCacheOptions::resolve(options.weight_cache, options.weight_cache_limit), sources);
}

int window_of(const ModelSpec& spec, const SpeechRequest& request) {
  return std::min(spec.max_positions, request.context_options.max_positions.value_or(spec.max_positions));
}

void validate_request(const SpeechRequest& request) {
  check_text(request.text, "the text to speak");
  if (is_blank(request.text)) fail(ErrorCode::kInvalidArgument, "the text to speak is empty; give at least one word");
  for (size_t i = 0; i < request.context.size(); ++i) check_turn(request.context[i], i);
  if (request.backbone_sampling) request.backbone_sampling->validate("backbone sampling");
  if (request.depth_sampling) request.depth_sampling->validate("depth sampling");
  if (request.max_seconds && !(*request.max_seconds > 0 && std::isfinite(*request.max_seconds))) {
    fail(ErrorCode::kInvalidArgument, "max-seconds is {}; expected more than 0", *request.max_seconds);
  }
  request.context_options.validate();
  if (request.deadline_seconds && !(*request.deadline_seconds > 0 && *request.deadline_seconds <= kMaxDeadlineSeconds)) {
    fail(ErrorCode::kInvalidArgument, "deadline is {}; expected more than 0, at most {} seconds",
         *request.deadline_seconds, kMaxDeadlineSeconds);
  }
  if (request.min_frames < 0) {
    fail(ErrorCode::kInvalidArgument, "min-frames is {}; expected 0 or more", request.min_frames);
  }
  request.guard.validate();
  request.trim.validate();
  if (!(std::abs(request.stop_bias) <= kMaxStopBias)) {
    fail(ErrorCode::kInvalidArgument, "stop-bias is {}; expected {}..{}", request.stop_bias, -kMaxStopBias, kMaxStopBias);
  }
}

int frame_limit(const ModelSpec& spec, const SpeechRequest& request, int64_t n_prompt_positions, int64_t n_text) {
  const double rate = spec.codec.frame_rate_hz();
  const int window = window_of(spec, request);
  const int64_t room = std::max<int64_t>(0, window - n_prompt_positions);
  int64_t wanted = spec.max_new_frames > 0 ? spec.max_new_frames : room;
  int64_t least = std::min<int64_t>({wanted, std::llround(std::ceil(kLeastSeconds * rate)), window / kLeastPart});
  if (request.max_seconds) {
    // Whole frames that fit; the tiny addition undoes the rounding of products such as 0.08 * 12.5.
    wanted = static_cast<int64_t>(std::min(*request.max_seconds * rate + 1e-9, 1e9));
    wanted = std::max<int64_t>(1, wanted);
    // A strategy has held free what the text needs; without one the room asked for must be there.
    least = request.context_options.strategy == ContextStrategy::kNone ? wanted : std::min(least, wanted);
  }
  least = std::max<int64_t>(1, least);
  if (room < least) {
    const int64_t n_context = n_prompt_positions - n_text;
    fail(ErrorCode::kResourceLimit,
         "the prompt takes {} positions ({} tokens of text, {} positions of context) and the model's window has {}: "
         "that leaves {} frames of speech ({:.1f} s), {} ({:.1f} s) are needed; shorten the {}{}",
         n_prompt_positions, n_text, n_context, window, room, static_cast<double>(room) / rate, least,
         static_cast<double>(least) / rate, n_context > n_text ? "context" : "text",
         request.max_seconds ? " or lower max-seconds" : "");
  }
  const int limit = static_cast<int>(std::min(wanted, room));
  if (request.min_frames > limit) {
    fail(ErrorCode::kInvalidArgument,
         "min-frames is {}, but at most {} frames may be generated; lower it or raise max-seconds", request.min_frames,
         limit);
  }
  return limit;
}

}  // namespace csm
