// Sequences that outlive their utterance with the prompt that they hold, so that the next prompt that begins alike is computed
// from where it differs.
//
// Place in the flow: prompt -> (here) -> prefilled sequence -> Utterance. A prompt is cut into segments (each turn's text, each
// turn's audio), which are always computed one by one: whole segments that two prompts share are the same work, so what is
// reused is what a fresh prefill would give, bit for bit. Inference thread only; the pool owns all sequences and must outlive
// what it lends.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <csm/engine.h>

#include "base/cancel.h"
#include "model/backend.h"

namespace csm {

struct PrefixPoolLimits {
  int max_idle_sequences = 0;    // 0: nothing is kept and nothing is shared
  uint64_t max_idle_bytes = 0;   // of key-value memory
  uint64_t max_total_bytes = 0;  // idle and in use together; 0 = no limit
};

class PrefixPool {
 public:
  // The model is borrowed. kv_type: of its sequences.
  PrefixPool(LanguageModel& model, KvType kv_type, const PrefixPoolLimits& limits);

  class Loan;
  // A sequence with room for max_positions that holds the whole prompt, ready for its first frame. `ends`: where each segment
  // ends, the last one at the prompt's end. Errors: kResourceLimit, kCancelled; what was computed until then is kept.
  Loan prefill(const Prompt& prompt, std::span<const int> ends, int max_positions, const CancelToken& cancel);

  PrefixCacheStats stats() const;
  // Lets go of all idle sequences.
  void clear();

 private:
  struct Entry {
    std::unique_ptr<Sequence> sequence;
    Prompt prompt;          // what the first ends.back() positions hold
    std::vector<int> ends;  // of the segments it holds
    bool in_use = false;
    uint64_t last_use = 0;
  };
  struct Match {
    Entry* entry = nullptr;
    size_t n_segments = 0;
  };

  Match longest_match(const Prompt& prompt, std::span<const int> ends) const;
  Loan take(const Prompt& prompt, std::span<const int> ends, int max_positions);
  Loan copy(Entry& source, size_t n_segments, int max_positions);
  Loan make(int max_positions);
  void make_room(uint64_t n_bytes);
  Entry* oldest_idle() const;
  void erase(const Entry* entry);
  void release(Entry& entry) noexcept;
  void shrink();
  uint64_t bytes(bool idle_only) const;
  int n_idle() const;
  void append(Entry& entry, const Prompt& prompt, int end, const CancelToken& cancel);

  LanguageModel& model_;
  KvType kv_type_;
  PrefixPoolLimits limits_;
  std::vector<std::unique_ptr<Entry>> entries_;
  uint64_t n_uses_ = 0;
};

// The use of a sequence until it goes out of scope; then it waits in the pool with its prompt.
class PrefixPool::Loan {
 public:
  Loan() = default;
  Loan(Loan&& other) noexcept { *this = std::move(other); }
  Loan& operator=(Loan&& other) noexcept;
  ~Loan() { give_back(); }

  Sequence* sequence() const { return entry_ != nullptr ? entry_->sequence.get() : nullptr; }
  int n_reused() const { return n_reused_; }  // positions that did not have to be computed
  // Ready for its first frame again, as prefill() left it.
  void rewind();
  void give_back() noexcept;

 private:
  friend class PrefixPool;
  Loan(PrefixPool& pool, Entry& entry) : pool_(&pool), entry_(&entry) { entry.in_use = true; }

  PrefixPool* pool_ = nullptr;
  Entry* entry_ = nullptr;
  int n_reused_ = 0;
};

}  // namespace csm
