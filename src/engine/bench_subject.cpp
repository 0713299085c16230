#include "engine/bench_subject.h"

#include <algorithm>
#include <utility>

#include "base/fail.h"
#include "engine/stopwatch.h"
#include "model/manifest.h"

namespace csm {
namespace {

struct PartName {
  BenchPart part;
  const char* name;
};
constexpr PartName kParts[] = {{BenchPart::kBackbone, "backbone"}, {BenchPart::kDepth, "depth"},
                               {BenchPart::kMimi, "mimi"},         {BenchPart::kPrefill, "prefill"},
                               {BenchPart::kFrame, "frame"},       {BenchPart::kEndToEnd, "e2e"},
                               {BenchPart::kMark, "mark"},         {BenchPart::kFindMark, "find-mark"}};

constexpr int kPromptPositions = 32;  // of e2e: a sentence without context
constexpr uint64_t kSeed = 1;

bool is_in(const std::vector<BenchPart>& parts, BenchPart part) {
  return std::find(parts.begin(), parts.end(), part) != parts.end();
}

// Names of the tensors that turn codes into sound. Codebook entries are looked up.
bool is_read_by_decoder(const ManifestEntry& entry) {
  if (entry.part != ModelPart::kCodec || entry.use == TensorUse::kCodebook) return false;
  const auto begins = [&](const char* head) { return entry.name.rfind(head, 0) == 0; };
  return begins("decoder") || begins("upsample") ||
         (begins("quantizer.") && entry.name.find("output_proj") != std::string::npos);
}

uint64_t decoder_bytes(const ModelSpec& spec, WeightType type) {
  uint64_t n_bytes = 0;
  for (const ManifestEntry& entry : manifest(spec)) {
    if (!is_read_by_decoder(entry)) continue;
    uint64_t n = type == WeightType::kF16 && entry.use != TensorUse::kVector ? 2 : 4;
    for (const int64_t extent : entry.shape) n *= static_cast<uint64_t>(extent);
    n_bytes += n;
  }
  return n_bytes;
}

}  // namespace

BenchPart parse_bench_part(const std::string& name) {
  std::string known;
  for (const PartName& part : kParts) {
    if (name == part.name) return part.part;
    known += (known.empty() ? "" : ", ") + std::string(part.name);
  }
  fail(ErrorCode::kInvalidArgument, "part is '{}'; expected one of {}", name, known);
}

const char* to_string(BenchPart part) {
  for (const PartName& known : kParts) {
    if (known.part == part) return known.name;
  }
  return "unknown";
}

bool needs_watermark(BenchPart part) { return part == BenchPart::kMark || part == BenchPart::kFindMark; }

bool needs_language_model(BenchPart part) { return part != BenchPart::kMimi && !needs_watermark(part); }

bool needs_codec(BenchPart part) {
  return part == BenchPart::kMimi || part == BenchPart::kFrame || part == BenchPart::kEndToEnd;
}

BenchSubject::BenchSubject(Backend& backend, std::shared_ptr<const Checkpoint> checkpoint,
                           const BackendOptions& backend_options, const BenchOptions& options,
                           const std::vector<BenchPart>& parts)
    : checkpoint_(std::move(checkpoint)), backend_options_(backend_options), options_(options) {
  const ModelSpec& spec = checkpoint_->spec();
  n_codebooks_ = spec.has_language_model ? spec.n_codebooks : spec.codec.n_codebooks;
  check_window(parts);
  if (std::any_of(parts.begin(), parts.end(), needs_language_model)) {
    language_model_ = backend.load_language_model(checkpoint_, backend_options_);
  }
  if (std::any_of(parts.begin(), parts.end(), needs_codec)) codec_ = backend.load_codec(checkpoint_, backend_options_);
  if (std::any_of(parts.begin(), parts.end(), needs_watermark)) mark_ = std::make_unique<MarkBench>();
  row_mask_.assign(static_cast<size_t>(n_codebooks_) + 1, 1);
  row_mask_.back() = 0;
  streams_.resize(static_cast<size_t>(options_.batch));
  for (Stream& stream : streams_) {
    stream.row = make_rows(1);
    if (codec_ != nullptr) stream.decoder = codec_->new_decoder();
  }
  const bool filled =
      is_in(parts, BenchPart::kBackbone) || is_in(parts, BenchPart::kFrame) || is_in(parts, BenchPart::kPrefill);
  if (filled || is_in(parts, BenchPart::kDepth)) {
    if (!filled) options_.context = 1;  // all that the depth decoder needs
    fill_context();
  }
}

void BenchSubject::check_window(const std::vector<BenchPart>& parts) const {
  const ModelSpec& spec = checkpoint_->spec();
  for (const BenchPart part : parts) {
    if (!needs_language_model(part)) continue;
    if (!spec.has_language_model) {
      fail(ErrorCode::kUnsupported,
           "part {} needs a language model, and this checkpoint is a codec alone; measure part mimi", to_string(part));
    }
    if (part == BenchPart::kDepth) continue;
    const int n_positions = part == BenchPart::kEndToEnd ? kPromptPositions + options_.n_frames : options_.context + 1;
    if (n_positions <= spec.max_positions) continue;
    fail(ErrorCode::kInvalidArgument, "part {} takes {} positions and the model's window has {}; use a smaller {}",
         to_string(part), n_positions, spec.max_positions,
         part == BenchPart::kEndToEnd ? "number of frames" : "context");
  }
}

void BenchSubject::fill_context() {
  for (Stream& stream : streams_) {
    stream.sequence = language_model_->new_sequence(options_.context + 1);
    append_rows(*stream.sequence, make_rows(options_.context));
  }
}

// Rows of audio codes, [n_rows, n_codebooks + 1], which depend on their number only.
std::vector<int32_t> BenchSubject::make_rows(int n_rows) const {
  const ModelSpec& spec = checkpoint_->spec();
  const int n_codes = spec.has_language_model ? spec.n_valid_codes() : spec.codec.codebook_size;
  std::vector<int32_t> rows;
  uint32_t state = 1;
  for (int row = 0; row < n_rows; ++row) {
    for (int codebook = 0; codebook < n_codebooks_; ++codebook) {
      state = state * 1664525u + 1013904223u;  // Numerical Recipes' generator; its high bits are the good ones
      rows.push_back(static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(n_codes)));
    }
    rows.push_back(0);
  }
  return rows;
}

void BenchSubject::append_rows(Sequence& sequence, const std::vector<int32_t>& rows) {
  mask_.resize(rows.size());
  for (size_t i = 0; i < mask_.size(); ++i) mask_[i] = row_mask_[i % row_mask_.size()];
  language_model_->append(sequence, {rows, mask_, n_codebooks_ + 1});
}

void BenchSubject::append_newest(Stream& stream) {
  language_model_->append(*stream.sequence, {stream.row, row_mask_, n_codebooks_ + 1});
}

void BenchSubject::next_frames(std::vector<Stream>& streams) {
  requests_.clear();
  for (size_t i = 0; i < streams.size(); ++i) {
    FrameRequest request;
    request.sequence = streams[i].sequence.get();
    request.sampling = &sampling_;
    request.noise = {kSeed, static_cast<uint32_t>(i), n_frames_drawn_};
    request.out = std::span(streams[i].row).first(static_cast<size_t>(n_codebooks_));
    requests_.push_back(request);
  }
  language_model_->next_frames(requests_);
  ++n_frames_drawn_;
}

void BenchSubject::push(Stream& stream) {
  stream.samples.clear();
  stream.decoder->push(std::span<const int32_t>(stream.row).first(static_cast<size_t>(n_codebooks_)), n_codebooks_,
                       stream.samples);
}

// The language model and the codec may share what they set up, and then both count it.
uint64_t BenchSubject::n_setups() const {
  return std::max(language_model_ != nullptr ? language_model_->n_setups() : 0,
                  codec_ != nullptr ? codec_->n_setups() : 0);
}

BenchRun BenchSubject::run(BenchPart part) {
  if (part == BenchPart::kEndToEnd) return run_end_to_end();
  BenchRun result;
  if (needs_watermark(part)) {
    result.ms = part == BenchPart::kMark ? mark_->embed_ms() : mark_->find_ms();
    return result;
  }
  const std::vector<int32_t> rows = prepare(part);
  const uint64_t n_before = n_setups();
  const Stopwatch watch;
  if (part == BenchPart::kPrefill) append_rows(*streams_.front().sequence, rows);
  if (part == BenchPart::kBackbone || part == BenchPart::kFrame) {
    for (Stream& stream : streams_) append_newest(stream);
  }
  if (part == BenchPart::kDepth || part == BenchPart::kFrame) next_frames(streams_);
  if (part == BenchPart::kMimi || part == BenchPart::kFrame) {
    for (Stream& stream : streams_) push(stream);
  }
  result.ms = watch.ms();
  result.n_setups = n_setups() - n_before;
  return result;
}

// Brings the sequences to where a run begins. Returns the rows that it appends, for prefill.
std::vector<int32_t> BenchSubject::prepare(BenchPart part) {
  if (part == BenchPart::kPrefill) {
    language_model_->truncate(*streams_.front().sequence, 0);
    return make_rows(options_.context);
  }
  if (!needs_language_model(part)) return {};
  for (Stream& stream : streams_) {
    const bool from_hidden_state = part == BenchPart::kDepth;
    language_model_->truncate(*stream.sequence, options_.context - (from_hidden_state ? 1 : 0));
    if (from_hidden_state) append_newest(stream);
  }
  return {};
}

// What synthesis does with a short prompt, every frame to its sound before the next.
BenchRun BenchSubject::run_end_to_end() {
  const std::vector<int32_t> prompt = make_rows(kPromptPositions);
  BenchRun result;
  const Stopwatch watch;
  std::vector<Stream> streams(static_cast<size_t>(options_.batch));
  for (Stream& stream : streams) {
    stream.sequence = language_model_->new_sequence(kPromptPositions + options_.n_frames);
    append_rows(*stream.sequence, prompt);
    stream.row.assign(static_cast<size_t>(n_codebooks_) + 1, 0);
    stream.decoder = codec_->new_decoder();
  }
  result.prefill_ms = watch.ms();
  uint64_t n_before = 0;
  for (int i = 0; i < options_.n_frames; ++i) {
    const Stopwatch frame;
    for (Stream& stream : streams) {
      if (i > 0) append_newest(stream);
    }
    next_frames(streams);
    for (Stream& stream : streams) push(stream);
    result.frame_ms.push_back(frame.ms());
    if (i > 0) continue;
    result.first_audio_ms = watch.ms();
    n_before = n_setups();
  }
  result.ms = watch.ms();
  result.n_setups = n_setups() - n_before;
  return result;
}

uint64_t BenchSubject::bytes_read(BenchPart part) const {
  const FrameBytes frame = language_model_ != nullptr ? language_model_->frame_bytes() : FrameBytes{};
  const uint64_t mimi = codec_ != nullptr ? decoder_bytes(checkpoint_->spec(), backend_options_.codec_type) : 0;
  const auto batch = static_cast<uint64_t>(options_.batch);
  const auto n_frames = static_cast<uint64_t>(options_.n_frames);
  switch (part) {
    case BenchPart::kMark:
    case BenchPart::kFindMark:
      return 0;
    case BenchPart::kBackbone:
      return batch * frame.backbone;
    case BenchPart::kDepth:
      return frame.depth;
    case BenchPart::kMimi:
      return batch * mimi;
    case BenchPart::kPrefill:
      return frame.backbone;
    case BenchPart::kFrame:
      return batch * (frame.backbone + mimi) + frame.depth;
    // The prompt is one more pass through the backbone, and the last frame is not given back to it.
    case BenchPart::kEndToEnd:
      return n_frames * (batch * (frame.backbone + mimi) + frame.depth);
  }
  return 0;
}

uint64_t BenchSubject::working_set_bytes(BenchPart part) const {
  if (needs_watermark(part)) return 0;
  if (part == BenchPart::kMimi) return decoder_bytes(checkpoint_->spec(), backend_options_.codec_type);
  const FrameBytes frame = language_model_->frame_bytes();
  if (part == BenchPart::kDepth) return frame.depth / static_cast<uint64_t>(n_codebooks_ - 1);  // once for each code
  return frame.backbone;
}

int BenchSubject::context_of(BenchPart part) const {
  switch (part) {
    case BenchPart::kBackbone:
    case BenchPart::kDepth:
    case BenchPart::kFrame:
      return options_.context;
    case BenchPart::kMimi:
    case BenchPart::kMark:
    case BenchPart::kFindMark:
      return 0;
    case BenchPart::kPrefill:
      return options_.context;
    case BenchPart::kEndToEnd:
      return kPromptPositions;
  }
  return 0;
}

int BenchSubject::batch_of(BenchPart part) const {
  return part == BenchPart::kPrefill || needs_watermark(part) ? 1 : options_.batch;
}

double BenchSubject::audio_seconds(BenchPart part) const {
  if (part == BenchPart::kMark) return MarkBench::kFrameSeconds;
  if (part == BenchPart::kFindMark) return MarkBench::kSearchedSeconds;
  if (!needs_codec(part)) return 0;
  return (part == BenchPart::kEndToEnd ? options_.n_frames : 1) / checkpoint_->spec().codec.frame_rate_hz();
}

uint64_t BenchSubject::weight_bytes() const {
  return (language_model_ != nullptr ? language_model_->weight_bytes() : 0) +
         (codec_ != nullptr ? codec_->weight_bytes() : 0);
}

}  // namespace csm
