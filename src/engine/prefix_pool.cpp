#include "engine/prefix_pool.h"

#include <algorithm>
#include <utility>

#include "base/fail.h"
#include "model/kv_cache.h"

namespace csm {
namespace {

constexpr int kPrefillRows = 256;  // given to the model at once, between two looks at the cancel token

FramesView rows_of(const Prompt& prompt, int first, int n) {
  const auto start = static_cast<size_t>(first) * static_cast<size_t>(prompt.n_columns);
  const auto count = static_cast<size_t>(n) * static_cast<size_t>(prompt.n_columns);
  return {std::span(prompt.frames).subspan(start, count), std::span(prompt.mask).subspan(start, count),
          prompt.n_columns};
}

bool same_rows(const Prompt& a, const Prompt& b, int first, int n) {
  const FramesView left = rows_of(a, first, n);
  const FramesView right = rows_of(b, first, n);
  return std::equal(left.ids.begin(), left.ids.end(), right.ids.begin()) &&
         std::equal(left.mask.begin(), left.mask.end(), right.mask.begin());
}

}  // namespace

PrefixPool::Loan& PrefixPool::Loan::operator=(Loan&& other) noexcept {
  if (this != &other) {
    give_back();
    pool_ = std::exchange(other.pool_, nullptr);
    entry_ = std::exchange(other.entry_, nullptr);
    n_reused_ = other.n_reused_;
  }
  return *this;
}

// The last segment is computed again, since what follows a row is known only then.
void PrefixPool::Loan::rewind() {
  const std::vector<int>& ends = entry_->ends;
  pool_->model_.truncate(*entry_->sequence, ends.size() > 1 ? ends[ends.size() - 2] : 0);
  pool_->append(*entry_, entry_->prompt, ends.back(), CancelToken());
}

void PrefixPool::Loan::give_back() noexcept {
  if (entry_ != nullptr) pool_->release(*std::exchange(entry_, nullptr));
}

PrefixPool::PrefixPool(LanguageModel& model, KvType kv_type, const PrefixPoolLimits& limits)
    : model_(model), kv_type_(kv_type), limits_(limits) {}

PrefixPool::Loan PrefixPool::prefill(const Prompt& prompt, std::span<const int> ends, int max_positions,
                                     const CancelToken& cancel) {
  Loan loan = take(prompt, ends, max_positions);  // gives it back when what follows fails
  Entry& entry = *loan.entry_;
  const size_t n_kept = entry.ends.size();
  loan.n_reused_ = n_kept == 0 ? 0 : entry.ends.back();
  entry.prompt = prompt;
  for (const int end : ends.subspan(n_kept)) {
    append(entry, prompt, end, cancel);
    entry.ends.push_back(end);
  }
  return loan;
}

void PrefixPool::append(Entry& entry, const Prompt& prompt, int end, const CancelToken& cancel) {
  int first = entry.sequence->n_positions();
  while (first < end) {
    if (cancel.cancelled()) fail(ErrorCode::kCancelled, "cancelled");
    const int n = std::min(kPrefillRows, end - first);
    model_.append(*entry.sequence, rows_of(prompt, first, n));
    first += n;
  }
}

// The last segment is never reused: the model must compute at least one row to go on from.
PrefixPool::Match PrefixPool::longest_match(const Prompt& prompt, std::span<const int> ends) const {
  Match best;
  for (const auto& entry : entries_) {
    size_t n = 0;
    for (int first = 0; n + 1 < ends.size() && n < entry->ends.size(); ++n) {
      const int end = ends[n];
      if (entry->ends[n] != end || !same_rows(entry->prompt, prompt, first, end - first)) break;
      first = end;
    }
    // Among equals one that is free and holds nothing else: it need not be copied.
    const auto rank = [](const Match& match) {
      return match.entry == nullptr ? std::pair<size_t, bool>{0, false}
                                    : std::pair{match.n_segments, !match.entry->in_use};
    };
    const Match match{entry.get(), n};
    if (n > 0 && rank(match) > rank(best)) best = match;
  }
  return best;
}

PrefixPool::Loan PrefixPool::take(const Prompt& prompt, std::span<const int> ends, int max_positions) {
  const Match match = limits_.max_idle_sequences > 0 ? longest_match(prompt, ends) : Match();
  if (match.entry == nullptr) return make(max_positions);
  Entry& source = *match.entry;
  const bool is_whole = !source.in_use && match.n_segments == source.ends.size();
  if (!is_whole) return copy(source, match.n_segments, max_positions);
  if (source.sequence->max_positions() < max_positions) {
    Loan larger = copy(source, match.n_segments, max_positions);
    erase(&source);
    return larger;
  }
  Loan loan(*this, source);
  model_.truncate(*source.sequence, source.ends.back());
  return loan;
}

// The first segments of a sequence that goes on to live another life.
PrefixPool::Loan PrefixPool::copy(Entry& source, size_t n_segments, int max_positions) {
  const struct Busy {  // so that making room does not take it
    Entry& entry;
    bool was_in_use;
    ~Busy() { entry.in_use = was_in_use; }
  } busy{source, std::exchange(source.in_use, true)};
  Loan loan = make(max_positions);
  model_.copy_prefix(*source.sequence, source.ends[n_segments - 1], *loan.sequence());
  loan.entry_->ends.assign(source.ends.begin(), source.ends.begin() + static_cast<std::ptrdiff_t>(n_segments));
  return loan;
}

// An empty sequence: that of the oldest idle prompt if it would have to go anyway, else a new one.
PrefixPool::Loan PrefixPool::make(int max_positions) {
  Entry* oldest = oldest_idle();
  if (oldest != nullptr && n_idle() >= limits_.max_idle_sequences &&
      oldest->sequence->max_positions() >= max_positions) {
    Loan loan(*this, *oldest);
    oldest->ends.clear();
    model_.truncate(*oldest->sequence, 0);
    return loan;
  }
  make_room(kv_sequence_bytes(model_.spec().backbone, kv_type_, max_positions));
  auto entry = std::make_unique<Entry>();
  while (entry->sequence == nullptr) {
    try {
      entry->sequence = model_.new_sequence(max_positions);
    } catch (const Error& error) {
      const Entry* victim = error.code() == ErrorCode::kResourceLimit ? oldest_idle() : nullptr;
      if (victim == nullptr) throw;
      erase(victim);
    }
  }
  entries_.push_back(std::move(entry));
  return Loan(*this, *entries_.back());
}

// Makes idle sequences go until n_bytes more are within the limit.
void PrefixPool::make_room(uint64_t n_bytes) {
  while (limits_.max_total_bytes > 0 && bytes(false) + n_bytes > limits_.max_total_bytes) {
    const Entry* victim = oldest_idle();
    if (victim == nullptr) {
      fail(ErrorCode::kResourceLimit,
           "the memory limit leaves {} bytes for keys and values; {} are in use and {} more are needed: raise it, or "
           "speak fewer utterances at once",
           limits_.max_total_bytes, bytes(false), n_bytes);
    }
    erase(victim);
  }
}

PrefixPool::Entry* PrefixPool::oldest_idle() const {
  Entry* oldest = nullptr;
  for (const auto& entry : entries_) {
    if (!entry->in_use && (oldest == nullptr || entry->last_use < oldest->last_use)) oldest = entry.get();
  }
  return oldest;
}

void PrefixPool::erase(const Entry* entry) {
  entries_.erase(std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e.get() == entry; }));
}

void PrefixPool::release(Entry& entry) noexcept {
  entry.in_use = false;
  entry.last_use = ++n_uses_;
  try {
    // The frames that were spoken go: as part of a later prompt they are computed in other company.
    if (!entry.ends.empty()) model_.truncate(*entry.sequence, entry.ends.back());
    if (entry.ends.empty()) erase(&entry);
  } catch (const std::exception&) {
    erase(&entry);  // a sequence that a failed computation has spoilt
  }
  shrink();
}

void PrefixPool::shrink() {
  while (const Entry* victim = oldest_idle()) {
    if (n_idle() <= limits_.max_idle_sequences && bytes(true) <= limits_.max_idle_bytes) return;
    erase(victim);
  }
}

uint64_t PrefixPool::bytes(bool idle_only) const {
  uint64_t n = 0;
  for (const auto& entry : entries_) {
    if (idle_only && entry->in_use) continue;
    n += kv_sequence_bytes(model_.spec().backbone, kv_type_, entry->sequence->max_positions());
  }
  return n;
}

int PrefixPool::n_idle() const {
  return static_cast<int>(std::count_if(entries_.begin(), entries_.end(), [](const auto& e) { return !e->in_use; }));
}

PrefixCacheStats PrefixPool::stats() const {
  PrefixCacheStats stats;
  for (const auto& entry : entries_) {
    if (entry->in_use) continue;
    ++stats.n_sequences;
    stats.n_positions += entry->sequence->n_positions();
  }
  stats.n_bytes = bytes(true);
  return stats;
}

void PrefixPool::clear() {
  entries_.erase(std::remove_if(entries_.begin(), entries_.end(), [](const auto& e) { return !e->in_use; }),
                 entries_.end());
}

}  // namespace csm
