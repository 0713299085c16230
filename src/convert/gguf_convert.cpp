#include "convert/gguf_convert.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "base/fail.h"
#include "io/file.h"

namespace csm {
namespace {

constexpr int64_t kElementsPerChunk = 1 << 20;  // 4 MB of float32 for each thread

// Rows that lie together: n_stored of them, then rows of zeros until there are n_rows.
struct Segment {
  TensorBytes bytes;
  DType type = DType::kF32;
  int64_t n_rows = 0;
  int64_t n_stored = 0;
  int64_t n = 0;               // elements of a row
  bool is_transposed = false;  // bytes hold [n, n_stored]
};

// Rows [first, first + count) of a segment.
struct Chunk {
  const Segment* segment = nullptr;
  int64_t first = 0;
  int64_t count = 0;

  int64_t n_real() const { return std::clamp<int64_t>(segment->n_stored - first, 0, count); }
};

Segment rows_of(const TensorInfo& source, int64_t n_rows) {
  const int64_t n_stored = source.shape.at(0);
  return {source.fetch(), source.type, n_rows, std::min(n_stored, n_rows), source.n_elements() / n_stored, false};
}

// Slabs [width, vocabulary] of codebooks_head.
std::vector<Segment> slabs_of(const TensorInfo& source, int64_t n_rows) {
  const TensorBytes bytes = source.fetch();
  const size_t slab_bytes = source.n_bytes() / static_cast<size_t>(source.shape.at(0));
  std::vector<Segment> segments;
  for (int64_t i = 0; i < source.shape[0]; ++i) {
    TensorBytes slab = bytes;
    slab.data = bytes.data.subspan(static_cast<size_t>(i) * slab_bytes, slab_bytes);
    segments.push_back({slab, source.type, n_rows, source.shape[2], source.shape[1], true});
  }
  return segments;
}

std::vector<Segment> open_segments(const Checkpoint& checkpoint, const GgufPlanEntry& entry) {
  const std::vector<TensorInfo>& rows = checkpoint.head_rows();
  if (entry.name == kFirstHeadRows) {
    return {rows_of(rows.empty() ? checkpoint.tensor(entry.canonical) : rows.front(), entry.shape[0])};
  }
  if (entry.name == kDepthHeadRows) {
    if (rows.empty()) return slabs_of(checkpoint.tensor(entry.canonical), entry.shape[1]);
    std::vector<Segment> segments;
    for (size_t i = 1; i < rows.size(); ++i) segments.push_back(rows_of(rows[i], entry.shape[1]));
    return segments;
  }
  return {rows_of(checkpoint.tensor(entry.canonical), entry.shape[0])};
}

// A transposed segment is read whole, since each of its rows lies all over it.
std::vector<Chunk> chunks_of(const std::vector<Segment>& segments) {
  std::vector<Chunk> chunks;
  for (const Segment& segment : segments) {
    const int64_t step = segment.is_transposed ? segment.n_rows : std::max<int64_t>(1, kElementsPerChunk / segment.n);
    for (int64_t first = 0; first < segment.n_rows; first += step) {
      chunks.push_back({&segment, first, std::min(step, segment.n_rows - first)});
    }
  }
  return chunks;
}

void read_transposed(const Segment& segment, float* out) {
  std::vector<float> line(static_cast<size_t>(segment.n_stored));
  for (int64_t d = 0; d < segment.n; ++d) {
    const auto offset = static_cast<size_t>(d * segment.n_stored) * size_of(segment.type);
    widen_to_f32(segment.type, segment.bytes.data.data() + offset, line.size(), line.data());
    for (size_t row = 0; row < line.size(); ++row)
      out[row * static_cast<size_t>(segment.n) + static_cast<size_t>(d)] = line[row];
  }
}

std::span<const std::byte> stored_bytes(const Chunk& chunk) {
  const Segment& segment = *chunk.segment;
  if (segment.is_transposed) return segment.bytes.data;
  return segment.bytes.data.subspan(bytes_of_row(segment.type, chunk.first * segment.n),
                                    bytes_of_row(segment.type, chunk.n_real() * segment.n));
}

[[noreturn]] void fail_not_finite(const GgufPlanEntry& entry) {
  fail(ErrorCode::kInvalidData, "'{}' has NaN or infinite values; the weights are damaged", entry.canonical);
}

// Buffers of one thread.
class ChunkConverter {
 public:
  ChunkConverter(const GgufPlanEntry& entry, const RowConverter& convert) : entry_(entry), convert_(convert) {}

  // The chunk in its new type.
  void run(const Chunk& chunk, std::vector<std::byte>& out) {
    const Segment& segment = *chunk.segment;
    out.resize(bytes_of_row(entry_.to, chunk.count * segment.n));
    if (is_quantised(segment.type)) return copy(chunk, out);
    values_.resize(static_cast<size_t>(chunk.count * segment.n));
    const auto n_real = static_cast<size_t>(chunk.n_real() * segment.n);
    if (segment.is_transposed) {
      read_transposed(segment, values_.data());
    } else if (n_real > 0) {
      widen_to_f32(segment.type, stored_bytes(chunk).data(), n_real, values_.data());
    }
    std::fill(values_.begin() + static_cast<std::ptrdiff_t>(n_real), values_.end(), 0.0f);
    if (!all_finite(DType::kF32, reinterpret_cast<const std::byte*>(values_.data()), values_.size()))
      fail_not_finite(entry_);
    convert_(entry_.to, values_.data(), out.data(), chunk.count, segment.n);
    if (!all_finite(entry_.to, out.data(), values_.size())) {
      fail(ErrorCode::kInvalidData, "'{}' has values that {} cannot hold; use bf16 or f32 for the {}", entry_.canonical,
           to_string(entry_.to), to_string(entry_.part));
    }
  }

 private:
  // Quantised rows stay as they are; zero bytes are rows of zeros in every such type.
  void copy(const Chunk& chunk, std::vector<std::byte>& out) const {
    const std::span<const std::byte> stored = stored_bytes(chunk);
    const auto n_real = static_cast<size_t>(chunk.n_real() * chunk.segment->n);
    if (!all_finite(chunk.segment->type, stored.data(), n_real)) fail_not_finite(entry_);
    std::fill(std::copy(stored.begin(), stored.end(), out.begin()), out.end(), std::byte{0});
  }

  const GgufPlanEntry& entry_;
  const RowConverter& convert_;
  std::vector<float> values_;
};

// One thread for each item of a small batch. Rethrows what went wrong in any of them.
void run_batch(size_t n, const std::function<void(size_t)>& work) {
  std::mutex mutex;
  std::exception_ptr error;
  const auto guarded = [&](size_t i) {
    try {
      work(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < n; ++i) threads.emplace_back(guarded, i);
  guarded(0);
  for (std::thread& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
}

// What was read of a mapping need not stay in memory.
void release(const Chunk& chunk) {
  if (chunk.segment->bytes.is_mapped) release_pages(stored_bytes(chunk));
}

}  // namespace

void write_gguf_tensors(const Checkpoint& checkpoint, const std::vector<GgufPlanEntry>& plan, GgufWriter& writer,
                        const RowConverter& convert, int n_threads, const GgufProgress& progress) {
  const auto n_at_once = static_cast<size_t>(std::max(1, n_threads));
  std::vector<std::vector<std::byte>> outputs(n_at_once);
  uint64_t n_bytes_done = 0;
  for (const GgufPlanEntry& entry : plan) {
    const std::vector<Segment> segments = open_segments(checkpoint, entry);
    const std::vector<Chunk> chunks = chunks_of(segments);
    std::vector<ChunkConverter> converters(n_at_once, ChunkConverter(entry, convert));
    for (size_t begin = 0; begin < chunks.size(); begin += n_at_once) {
      const size_t n = std::min(n_at_once, chunks.size() - begin);
      run_batch(n, [&](size_t i) { converters[i].run(chunks[begin + i], outputs[i]); });
      for (size_t i = 0; i < n; ++i) {
        writer.write(outputs[i]);
        n_bytes_done += outputs[i].size();
        release(chunks[begin + i]);
      }
      if (progress && !progress(entry.name, n_bytes_done)) fail(ErrorCode::kCancelled, "the conversion was cancelled");
    }
  }
}

}  // namespace csm
