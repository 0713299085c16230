#include "watermark/silentcipher_network.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>

namespace csm::cipher {
namespace {

constexpr double kEpsilon = 1e-5;

// Sums over the frames of one row, for each channel.
struct RowSums {
  std::vector<double> sum;
  std::vector<double> squares;
};

void add_up(const float* row, int n_frames, size_t stride, RowSums& sums) {
  sums.sum.assign(stride, 0);
  sums.squares.assign(stride, 0);
  for (int t = 0; t < n_frames; ++t) {
    for (size_t c = 0; c < stride; ++c) {
      const double value = row[static_cast<size_t>(t) * stride + c];
      sums.sum[c] += value;
      sums.squares[c] += value * value;
    }
  }
}

// Always in the order of the rows, so that the number of threads does not matter.
ChannelScales scales_of(const GatedLayer& layer, const std::vector<RowSums>& rows, double n) {
  const auto stride = static_cast<size_t>(padded_channels(layer.weights.n_out));
  ChannelScales scales{std::vector<float>(stride, 0.f), std::vector<float>(stride, 0.f)};
  for (size_t c = 0; c < static_cast<size_t>(layer.weights.n_out); ++c) {
    double sum = 0, squares = 0;
    for (const RowSums& row : rows) {
      sum += row.sum[c];
      squares += row.squares[c];
    }
    const double mean = sum / n;
    const double variance = std::max(0.0, squares / n - mean * mean);
    const double scale = layer.gamma[c] / std::sqrt(variance + kEpsilon);
    scales.scale[c] = static_cast<float>(scale);
    scales.shift[c] = static_cast<float>(layer.beta[c] - mean * scale);
  }
  return scales;
}

// A thread's part of the rows: with copies of the neighbours' rows, which they overwrite meanwhile.
class RowsInTurn {
 public:
  RowsInTurn(const GatedLayer& layer, const RowLoader& load, Plane& plane, int first, int last)
      : layer_(layer), load_(load), plane_(plane), first_(first), last_(last) {
    const auto side = static_cast<size_t>(layer.weights.side);
    const auto frames = static_cast<size_t>(padded_frames(plane.n_frames())) + side - 1;
    for (std::vector<float>& buffer : buffers_) buffer.assign(frames * static_cast<size_t>(layer.weights.n_in), 0.f);
  }

  // Before any thread writes.
  void prepare() {
    if (layer_.weights.side == 1) return;
    fill(first_ - 1, above_);
    fill(first_, current_);
    fill(last_, end_);
  }

  void run(std::vector<RowSums>& sums) {
    const auto stride = static_cast<size_t>(padded_channels(layer_.weights.n_out));
    std::vector<float> out(static_cast<size_t>(padded_frames(plane_.n_frames())) * stride);
    for (int row = first_; row < last_; ++row) {
      compute(row, out.data());
      std::copy(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(plane_.n_frames()) * stride), plane_.row(row));
      add_up(out.data(), plane_.n_frames(), stride, sums[static_cast<size_t>(row)]);
    }
  }

 private:
  void compute(int row, float* out) {
    if (layer_.weights.side == 1) {
      fill(row, current_);
      const std::array<const float*, 1> rows = {buffer(current_)};
      gated_row(layer_.weights, rows, plane_.n_frames(), out);
      return;
    }
    const bool is_last = row + 1 == last_;
    if (!is_last) fill(row + 1, below_);
    const std::array<const float*, 3> rows = {buffer(above_), buffer(current_), buffer(is_last ? end_ : below_)};
    gated_row(layer_.weights, rows, plane_.n_frames(), out);
    const size_t free = above_;
    above_ = current_;
    current_ = below_;
    below_ = free;
  }

  const float* buffer(size_t index) const { return buffers_[index].data(); }

  // Behind the padding of the first frame. Rows beyond the edges are zero.
  void fill(int row, size_t index) {
    std::vector<float>& to = buffers_[index];
    const auto n_in = static_cast<size_t>(layer_.weights.n_in);
    if (row < 0 || row >= plane_.n_rows()) {
      std::fill(to.begin(), to.end(), 0.f);
    } else {
      load_(row, to.data() + static_cast<size_t>(layer_.weights.side / 2) * n_in);
    }
  }

  const GatedLayer& layer_;
  const RowLoader& load_;
  Plane& plane_;
  int first_;
  int last_;
  std::array<std::vector<float>, 4> buffers_;
  size_t above_ = 0, current_ = 1, below_ = 2;
  size_t end_ = 3;  // the row after the last one
};

// Threads that are waited for, also when one of them cannot be started.
class Threads {
 public:
  ~Threads() { join(); }
  template <typename Function>
  void start(Function function) {
    threads_.emplace_back(std::move(function));
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  std::vector<std::thread> threads_;
};

}  // namespace

Plane::Plane(int n_rows, int n_frames, int max_channels)
    : n_rows_(n_rows),
      n_frames_(n_frames),
      row_floats_(static_cast<size_t>(n_frames) * static_cast<size_t>(padded_channels(max_channels))),
      data_(static_cast<size_t>(n_rows) * row_floats_) {}

ChannelScales run_layer(const GatedLayer& layer, const RowLoader& load, Plane& plane, int n_threads) {
  const int n_parts = std::clamp(n_threads, 1, plane.n_rows());
  std::vector<RowsInTurn> parts;
  for (int i = 0; i < n_parts; ++i) {
    parts.emplace_back(layer, load, plane, plane.n_rows() * i / n_parts, plane.n_rows() * (i + 1) / n_parts);
  }
  share_out(n_parts, n_parts, [&](int first, int last) {
    for (int i = first; i < last; ++i) parts[static_cast<size_t>(i)].prepare();
  });
  std::vector<RowSums> sums(static_cast<size_t>(plane.n_rows()));
  share_out(n_parts, n_parts, [&](int first, int last) {
    for (int i = first; i < last; ++i) parts[static_cast<size_t>(i)].run(sums);
  });
  return scales_of(layer, sums, static_cast<double>(plane.n_rows()) * plane.n_frames());
}

void load_normalised(const Plane& plane, int row, const ChannelScales& scales, int n, int n_in, float* out) {
  const float* from = plane.row(row);
  const size_t stride = scales.scale.size();
  for (int t = 0; t < plane.n_frames(); ++t) {
    for (size_t c = 0; c < static_cast<size_t>(n); ++c) out[c] = from[c] * scales.scale[c] + scales.shift[c];
    from += stride;
    out += n_in;
  }
}

void share_out(int n, int n_threads, const std::function<void(int first, int last)>& function) {
  const int n_parts = std::clamp(n_threads, 1, std::max(1, n));
  if (n_parts == 1) return function(0, n);
  std::exception_ptr failure;
  std::mutex lock;
  Threads threads;
  for (int i = 0; i < n_parts; ++i) {
    threads.start([&, i] {
      try {
        function(static_cast<int>(int64_t{n} * i / n_parts), static_cast<int>(int64_t{n} * (i + 1) / n_parts));
      } catch (...) {
        const std::lock_guard<std::mutex> guard(lock);
        failure = std::current_exception();
      }
    });
  }
  threads.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace csm::cipher
