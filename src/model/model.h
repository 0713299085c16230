// The seam between the engine and its backends: frames in, frames out. No tensor crosses it.
//
// Threads: all calls of one LanguageModel or Codec and of everything they made happen on one thread. Ownership: a
// sequence, decoder or encoder must not outlive the model that made it. After an error a sequence is as it was before the call.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "model/sampler.h"
#include "model/spec.h"

namespace csm {

// Time steps of the backbone: [n, n_codebooks + 1] ids (last column = text token) and their mask; unmasked columns are
// summed. Borrowed.
struct FramesView {
  std::span<const int32_t> ids;
  std::span<const uint8_t> mask;
  int n_columns = 0;

  int n_rows() const { return n_columns > 0 ? static_cast<int>(ids.size()) / n_columns : 0; }
};

// Observer of every logit row; null in production. Rows arrive in order of codebooks.
class LogitsTap {
 public:
  virtual ~LogitsTap() = default;
  virtual void on_logits(int codebook, std::span<const float> logits) = 0;  // [audio_vocab]
  virtual void on_hidden(std::span<const float> hidden) = 0;                // [backbone width], after the final norm
};

// Observer of named intermediate activations (tests): row-major [rows, columns]. Null in production.
class StageTap {
 public:
  virtual ~StageTap() = default;
  virtual void on_stage(const std::string& name, std::span<const float> values, int rows, int columns) = 0;
};

// One conversation's key-value memory in a backbone.
class Sequence {
 public:
  virtual ~Sequence() = default;
  virtual int n_positions() const = 0;
  virtual int max_positions() const = 0;
};

struct FrameSampling {
  SamplingOptions backbone;  // codebook 0
  SamplingOptions depth;     // codebooks 1..

  const SamplingOptions& at(int codebook) const { return codebook == 0 ? backbone : depth; }
};

// One sequence's part in a lock-step batch.
struct FrameRequest {
  Sequence* sequence = nullptr;
  const FrameSampling* sampling = nullptr;
  NoiseKey noise;
  std::span<const int32_t> history;  // [n, n_codebooks] codes so far, for penalties
  std::span<const int32_t> forced;   // [n_codebooks] teacher forcing: these codes instead of sampled ones; or empty
  bool suppress_end = false;         // minimum length not yet reached
  float stop_bias = 0;               // SpeechRequest::stop_bias
  LogitsTap* tap = nullptr;
  std::span<int32_t> out;            // [n_codebooks]
};

// Bytes of weights that one appended row and one next_frames read.
struct FrameBytes {
  uint64_t backbone = 0;
  uint64_t depth = 0;
};

class LanguageModel {  // backbone + depth decoder; weights are immutable after load
 public:
  virtual ~LanguageModel() = default;
  virtual const ModelSpec& spec() const = 0;
  // Errors: kResourceLimit when max_positions exceeds the model's window or memory.
  virtual std::unique_ptr<Sequence> new_sequence(int max_positions) = 0;
  // Prefill, or one step: the same thing. Errors: kResourceLimit when the sequence is full; kInvalidArgument for ids out of range.
  virtual void append(Sequence& sequence, FramesView rows) = 0;
  // Keeps the first `position` positions (a shared prompt prefix); at least one must be appended before the next frame.
  virtual void truncate(Sequence& sequence, int position) = 0;
  // Gives `to`, whatever it held, the first n_positions of `from`, bit for bit; at least one must be appended before the next frame.
  // Errors: kInvalidArgument when `from` has fewer or both are one, kResourceLimit when `to` has no room for them.
  virtual void copy_prefix(const Sequence& from, int n_positions, Sequence& to) = 0;
  // The codes that follow the last appended row of each sequence. Does not append them: the caller looks at the codes
  // (end of speech = all zero) and decides.
  virtual void next_frames(std::span<FrameRequest> batch) = 0;
  // Graph builds, buffer allocations and thread starts so far: constant in steady state.
  virtual uint64_t n_setups() const = 0;
  // Bytes of all weights but the embedding tables (whose rows are read where they are stored), mapped ones included.
  virtual uint64_t weight_bytes() const = 0;
  // What must be read, for the bandwidth ratio.
  virtual FrameBytes frame_bytes() const = 0;
};

class CodecDecoder {
 public:
  virtual ~CodecDecoder() = default;
  // codes [n_frames, n_codebooks] -> n_frames x frame_samples; any chunking gives the same samples. n_codebooks may be
  // smaller than the codec's. Appends to samples.
  virtual void push(std::span<const int32_t> codes, int n_codebooks, std::vector<float>& samples) = 0;
};

class CodecEncoder {
 public:
  virtual ~CodecEncoder() = default;
  // Appends the codes [n, n_codebooks] of all frames that are complete. Any chunking gives the same codes.
  virtual void push(std::span<const float> samples, std::vector<int32_t>& codes) = 0;
  // The last, partial frame, if any: ceil(n_samples / frame_samples) frames in all. The encoder is spent.
  virtual void finish(std::vector<int32_t>& codes) = 0;
};

class Codec {  // Mimi
 public:
  virtual ~Codec() = default;
  virtual const CodecSpec& spec() const = 0;
  virtual std::unique_ptr<CodecDecoder> new_decoder() = 0;
  virtual std::unique_ptr<CodecEncoder> new_encoder() = 0;  // codes of all the codec's codebooks
  virtual uint64_t n_setups() const = 0;
  virtual uint64_t weight_bytes() const = 0;
};

}  // namespace csm
