// Pieces of a long text, said one after the other (csm/narrate.h).
#include <csm/narrate.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>

#include "base/fail.h"
#include "engine/stopwatch.h"
#include "reading/characters.h"

namespace csm {
namespace {

constexpr int kLeastFrames = 3;
constexpr double kBlockSeconds = 0.02;
constexpr float kFullScale = 0.99F;

// Level of the speech in a sound: of its blocks that are within 40 dB of the loudest.
double speech_level(const Audio& audio) {
  const size_t n_block = std::max<size_t>(1, static_cast<size_t>(kBlockSeconds * audio.sample_rate_hz));
  std::vector<double> powers;
  for (size_t begin = 0; begin + n_block <= audio.samples.size(); begin += n_block) {
    double sum = 0;
    for (size_t i = begin; i < begin + n_block; ++i) sum += static_cast<double>(audio.samples[i]) * audio.samples[i];
    powers.push_back(sum / static_cast<double>(n_block));
  }
  const double threshold = powers.empty() ? 0 : *std::max_element(powers.begin(), powers.end()) * 1e-4;
  double sum = 0;
  size_t n = 0;
  for (const double power : powers) {
    if (power < threshold || power == 0) continue;
    sum += power;
    ++n;
  }
  return n == 0 ? 0 : std::sqrt(sum / static_cast<double>(n));
}

bool says_something(const std::string& text) {
  const reading::Characters characters(text);
  for (size_t i = 0; i < characters.size(); ++i) {
    if (reading::is_letter(characters.at(i)) || reading::is_digit(characters.at(i))) return true;
  }
  return false;
}

struct Piece {
  TextChunk chunk;
  size_t part = 0;
};

// Cut first, so that pause marks are seen; a piece that numbers in words make too long is cut again.
std::vector<Piece> make_pieces(const std::vector<NarrationPart>& parts, const NarrationOptions& options) {
  std::vector<Piece> pieces;
  for (size_t part = 0; part < parts.size(); ++part) {
    for (const TextChunk& chunk : split_text(parts[part].text, options.chunks)) {
      if (options.normalization == Normalization::kOff) {
        pieces.push_back({chunk, part});
        continue;
      }
      std::vector<TextChunk> spoken = split_text(normalize_text(chunk.text), options.chunks);
      if (spoken.empty()) spoken.push_back({"", 0, 0, false});
      spoken.front().pause_before_s = chunk.pause_before_s;
      spoken.back().pause_after_s = chunk.pause_after_s;
      for (TextChunk& piece : spoken) pieces.push_back({std::move(piece), part});
    }
  }
  return pieces;
}

class Narrator {
 public:
  Narrator(Engine& engine, const SpeechRequest& request, const std::vector<NarrationPart>& parts, const NarrationOptions& options,
           const std::function<void(std::span<const float>)>& on_samples, const std::function<bool(const NarrationProgress&)>& on_progress)
      : engine_(engine), request_(request), parts_(parts), options_(options), on_samples_(on_samples), on_progress_(on_progress) {
    request_.min_frames = std::max(request_.min_frames, kLeastFrames);
  }

  NarrationResult run(const std::vector<Piece>& pieces) {
    const Stopwatch watch;
    progress_.n_chunks = static_cast<int>(pieces.size());
    for (const Piece& piece : pieces) {
      ++progress_.chunk;
      if (!goes_on()) break;
      silence(piece.chunk.pause_before_s);
      if (says_something(piece.chunk.text)) say(piece);
      if (!result_.is_whole) break;
      silence(piece.chunk.pause_after_s);
    }
    result_.total_ms = watch.ms();
    return result_;
  }

 private:
  bool goes_on() {
    if (on_progress_ && !on_progress_(progress_)) result_.is_whole = false;
    return result_.is_whole;
  }

  void silence(double seconds) {
    const std::vector<float> samples(static_cast<size_t>(std::llround(seconds * engine_.sample_rate_hz())), 0.0F);
    if (!samples.empty()) give(samples);
  }

  void give(std::span<const float> samples) {
    on_samples_(samples);
    result_.audio_seconds += static_cast<double>(samples.size()) / engine_.sample_rate_hz();
    progress_.audio_seconds = result_.audio_seconds;
  }

  void say(const Piece& piece) {
    const NarrationPart& part = parts_[piece.part];
    request_.text = piece.chunk.text;
    request_.speaker = part.speaker;
    request_.context = part.anchor;
    request_.context.insert(request_.context.end(), said_.begin(), said_.end());
    const double before = result_.audio_seconds;
    SpeechResult spoken = engine_.synthesize(request_, [&](const SpeechProgress& frame) {
      progress_.audio_seconds = before + frame.audio_seconds;
      return goes_on();
    });
    ++request_.seed;
    level(part.speaker, spoken.audio);
    give(spoken.audio.samples);
    result_.speech_seconds += spoken.audio.seconds();
    ++result_.n_chunks;
    if (spoken.stats.finish_reason == FinishReason::kEnd) ++result_.n_ended;
    remember({part.speaker, piece.chunk.text, std::nullopt, std::move(spoken.codes)});
  }

  void remember(Turn turn) {
    if (options_.context_chunks == 0 || turn.codes->n_frames() == 0) return;
    if (said_.size() == static_cast<size_t>(options_.context_chunks)) said_.pop_front();
    said_.push_back(std::move(turn));
  }

  // Moves the level of a piece towards that of the speaker's first one, and keeps its peaks below full scale.
  void level(int speaker, Audio& audio) {
    const double found = speech_level(audio);
    if (found <= 0) return;
    const double wanted = levels_.emplace(speaker, found).first->second;
    auto gain = static_cast<float>(std::clamp(wanted / found, 1 / options_.max_gain, options_.max_gain));
    float peak = 0;
    for (const float sample : audio.samples) peak = std::max(peak, std::fabs(sample));
    if (gain > 1 && peak * gain > kFullScale) gain = std::max(1.0F, kFullScale / peak);
    for (float& sample : audio.samples) sample *= gain;
  }

  Engine& engine_;
  SpeechRequest request_;
  const std::vector<NarrationPart>& parts_;
  const NarrationOptions& options_;
  const std::function<void(std::span<const float>)>& on_samples_;
  const std::function<bool(const NarrationProgress&)>& on_progress_;
  NarrationProgress progress_;
  NarrationResult result_;
  std::deque<Turn> said_;
  std::map<int, double> levels_;  // of each speaker
};

}  // namespace

void NarrationOptions::validate() const {
  chunks.validate();
  if (context_chunks < 0 || context_chunks > 8) fail(ErrorCode::kInvalidArgument, "context_chunks is {}; expected 0 to 8", context_chunks);
  if (!(max_gain >= 1 && max_gain <= 10)) fail(ErrorCode::kInvalidArgument, "max_gain is {}; expected 1 to 10", max_gain);
}

NarrationResult narrate(Engine& engine, const SpeechRequest& request, const std::vector<NarrationPart>& parts,
                        const NarrationOptions& options, const std::function<void(std::span<const float>)>& on_samples,
                        const std::function<bool(const NarrationProgress&)>& on_progress) {
  options.validate();
  const std::vector<Piece> pieces = make_pieces(parts, options);
  const bool is_empty = std::none_of(pieces.begin(), pieces.end(), [](const Piece& piece) { return says_something(piece.chunk.text); });
  if (is_empty) fail(ErrorCode::kInvalidArgument, "the text has no word in it; expected something to speak");
  return Narrator(engine, request, parts, options, on_samples, on_progress).run(pieces);
}

}  // namespace csm
