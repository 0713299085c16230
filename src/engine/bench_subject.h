// One way of running the model, ready to be measured: a language model and a codec with sequences whose context is
// filled.
//
// Place in the flow: checkpoint + backend -> BenchSubject -> bench.cpp, which times several of them in turns. Calls the
// seam as synthesis does, without tokenizer and prompt. Everything happens on the caller's thread, which must be the
// same one throughout.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <csm/bench.h>

#include "engine/bench_mark.h"
#include "model/backend.h"

namespace csm {

enum class BenchPart { kBackbone, kDepth, kMimi, kPrefill, kFrame, kEndToEnd, kMark, kFindMark };

// Errors: kInvalidArgument with the names there are.
BenchPart parse_bench_part(const std::string& name);
const char* to_string(BenchPart part);
bool needs_language_model(BenchPart part);
bool needs_codec(BenchPart part);
bool needs_watermark(BenchPart part);

// What one run of a part took.
struct BenchRun {
  double ms = 0;
  double prefill_ms = 0;         // e2e
  double first_audio_ms = 0;     // e2e
  std::vector<double> frame_ms;  // e2e: each frame
  uint64_t n_setups = 0;         // in steady state: of the whole run, of e2e after its first frame
};

class BenchSubject {
 public:
  // Loads what the parts need. The backend must outlive the subject. Errors: those of loading; kInvalidArgument when
  // context or frames do not fit the model's window; kUnsupported when a part needs a language model and the checkpoint
  // is a codec alone.
  BenchSubject(Backend& backend, std::shared_ptr<const Checkpoint> checkpoint, const BackendOptions& backend_options,
               const BenchOptions& options, const std::vector<BenchPart>& parts);

  BenchRun run(BenchPart part);

  // Weights that one run must read, and those of them that it reads in one sweep before it begins anew.
  uint64_t bytes_read(BenchPart part) const;
  uint64_t working_set_bytes(BenchPart part) const;
  // Positions that are filled before one run.
  int context_of(BenchPart part) const;
  // Sequences of one run.
  int batch_of(BenchPart part) const;
  // Seconds of sound that one run makes for each sequence; 0 when it makes none.
  double audio_seconds(BenchPart part) const;
  // Language model and codec, without the embedding tables.
  uint64_t weight_bytes() const;

 private:
  struct Stream {
    std::unique_ptr<Sequence> sequence;
    std::unique_ptr<CodecDecoder> decoder;
    std::vector<int32_t> row;  // [n_codebooks + 1]: the newest frame, text column 0
    std::vector<float> samples;
  };

  void check_window(const std::vector<BenchPart>& parts) const;
  void fill_context();
  std::vector<int32_t> prepare(BenchPart part);
  std::vector<int32_t> make_rows(int n_rows) const;
  void append_rows(Sequence& sequence, const std::vector<int32_t>& rows);
  void append_newest(Stream& stream);
  void next_frames(std::vector<Stream>& streams);
  void push(Stream& stream);
  uint64_t n_setups() const;
  BenchRun run_end_to_end();

  std::shared_ptr<const Checkpoint> checkpoint_;
  BackendOptions backend_options_;
  BenchOptions options_;
  int n_codebooks_ = 0;
  std::unique_ptr<LanguageModel> language_model_;
  std::unique_ptr<Codec> codec_;
  std::unique_ptr<MarkBench> mark_;
  FrameSampling sampling_;
  std::vector<uint8_t> row_mask_;  // [n_codebooks + 1]: all but the text column
  std::vector<uint8_t> mask_;      // of the rows that are appended
  std::vector<FrameRequest> requests_;
  std::vector<Stream> streams_;  // batch of them, filled up to the context
  uint32_t n_frames_drawn_ = 0;
};

}  // namespace csm
