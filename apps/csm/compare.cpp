#include "compare.h"

#include <csm/error.h>
#include <csm/tensors.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace csm::app {
namespace {

constexpr int kStride = 64;  // of logits_stride64

double log_sum_exp(const std::vector<double>& values) {
  const double top = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (const double value : values) sum += std::exp(value - top);
  return top + std::log(sum);
}

double kl_divergence(const std::vector<double>& golden, const std::vector<double>& ours) {
  const double golden_norm = log_sum_exp(golden);
  const double our_norm = log_sum_exp(ours);
  double sum = 0;
  for (size_t i = 0; i < golden.size(); ++i) {
    const double log_p = golden[i] - golden_norm;
    if (std::exp(log_p) > 0) sum += std::exp(log_p) * (log_p - (ours[i] - our_norm));
  }
  return std::max(sum, 0.0);  // rounding may leave -1e-17
}

int argmax(const std::vector<double>& values) {
  return static_cast<int>(std::max_element(values.begin(), values.end()) - values.begin());
}

// Keeps a NaN: it must not pass as agreement.
void raise_to(double& maximum, double difference) {
  if (!(difference <= maximum)) maximum = difference;
}

class Comparer {
 public:
  Comparer(const Trace& trace, const std::string& path)
      : trace_(trace),
        path_(path),
        file_(read_tensors(path,
                           {"logits", "logits_stride64", "hidden", "codes", "lse", "chosen", "top_idx", "top_val"})),
        n_codebooks_(trace.codes.n_codebooks) {}

  Comparison run() {
    find_logits();
    result_.golden = path_;
    result_.n_frames = static_cast<int>(std::min<int64_t>(trace_.codes.n_frames(), logits_->shape[0]));
    result_.n_ids = n_ids_;
    result_.audio_vocab = trace_.audio_vocab;
    find_first_difference();
    compare_logits();
    compare_hidden();
    compare_summaries();
    return result_;
  }

 private:
  using Row = std::vector<double>;

  const Tensor* find(const std::string& name, const std::vector<int64_t>& row_shape) const {
    const auto it = file_.tensors.find(name);
    if (it == file_.tensors.end()) return nullptr;
    const std::vector<int64_t>& shape = it->second.shape;
    if (shape.empty() || !std::equal(shape.begin() + 1, shape.end(), row_shape.begin(), row_shape.end())) {
      throw Error(ErrorCode::kInvalidData,
                  fmt::format("'{}': tensor '{}' is [{}]; expected [n_frames, {}] for this model", path_, name,
                              fmt::join(shape, ", "), fmt::join(row_shape, ", ")));
    }
    return &it->second;
  }

  template <typename T>
  const std::vector<T>& values(const Tensor& tensor, const char* name) const {
    const auto* found = std::get_if<std::vector<T>>(&tensor.values);
    if (found == nullptr)
      throw Error(ErrorCode::kInvalidData, fmt::format("'{}': tensor '{}' has a wrong type", path_, name));
    return *found;
  }

  void find_logits() {
    const int vocab = trace_.audio_vocab;
    n_ids_ = vocab;
    logits_ = find("logits", {n_codebooks_, vocab});
    if (logits_ == nullptr) {
      n_ids_ = (vocab + kStride - 1) / kStride;
      stride_ = kStride;
      logits_ = find("logits_stride64", {n_codebooks_, n_ids_});
    }
    if (logits_ == nullptr) {
      throw Error(ErrorCode::kInvalidData, fmt::format("'{}' holds neither 'logits' nor 'logits_stride64'; found {}",
                                                       path_, fmt::join(file_.contents, ", ")));
    }
    golden_logits_ = &values<float>(*logits_, "logits");
  }

  void find_first_difference() {
    const Tensor* codes = find("codes", {n_codebooks_});
    if (codes == nullptr) return;
    const auto& golden = values<int32_t>(*codes, "codes");
    const size_t n = std::min(golden.size(), static_cast<size_t>(result_.n_frames) * static_cast<size_t>(n_codebooks_));
    for (size_t i = 0; i < n; ++i) {
      if (golden[i] == trace_.codes.ids[i]) continue;
      result_.first_different_frame = static_cast<int>(i) / n_codebooks_;
      result_.first_different_codebook = static_cast<int>(i) % n_codebooks_;
      return;
    }
  }

  // Whether the codes before this one are the same on both sides.
  bool same_past(int frame, int codebook) const {
    const int different = result_.first_different_frame;
    return different < 0 || frame < different || (frame == different && codebook <= result_.first_different_codebook);
  }

  size_t row_index(int frame, int codebook) const {
    return static_cast<size_t>(frame) * static_cast<size_t>(n_codebooks_) + static_cast<size_t>(codebook);
  }

  Row our_row(int frame, int codebook) const {
    const float* row = trace_.logits.data() + row_index(frame, codebook) * static_cast<size_t>(trace_.audio_vocab);
    return Row(row, row + trace_.audio_vocab);
  }

  void compare_row(int frame, int codebook, LogitsComparison& out) const {
    const float* row = golden_logits_->data() + row_index(frame, codebook) * static_cast<size_t>(n_ids_);
    const Row golden(row, row + n_ids_);
    const Row whole = our_row(frame, codebook);
    Row ours(golden.size());
    for (size_t i = 0; i < ours.size(); ++i) ours[i] = whole[i * static_cast<size_t>(stride_)];
    for (size_t i = 0; i < ours.size(); ++i) raise_to(out.max_difference, std::abs(golden[i] - ours[i]));
    out.mean_kl += kl_divergence(golden, ours);
    out.top1_agreement += agrees(frame, codebook, golden, ours, whole) ? 1 : 0;
    out.n_rows += 1;
  }

  bool agrees(int frame, int codebook, const Row& golden, const Row& ours, const Row& whole) const {
    const Tensor* top =
        stride_ == 1 || file_.tensors.count("top_idx") == 0 ? nullptr : find("top_idx", {n_codebooks_, 4});
    if (top == nullptr) return argmax(golden) == argmax(ours);
    const size_t row = row_index(frame, codebook) * 4;
    const auto& ids = values<int32_t>(*top, "top_idx");
    return row < ids.size() && ids[row] == argmax(whole);
  }

  void compare_logits() {
    result_.codebooks.resize(static_cast<size_t>(n_codebooks_));
    for (int codebook = 0; codebook < n_codebooks_; ++codebook) {
      LogitsComparison& line = result_.codebooks[static_cast<size_t>(codebook)];
      for (int frame = 0; frame < result_.n_frames && same_past(frame, codebook); ++frame)
        compare_row(frame, codebook, line);
      result_.total.n_rows += line.n_rows;
      raise_to(result_.total.max_difference, line.max_difference);
      result_.total.mean_kl += line.mean_kl;
      result_.total.top1_agreement += line.top1_agreement;
      to_means(line);
    }
    to_means(result_.total);
  }

  static void to_means(LogitsComparison& line) {
    if (line.n_rows == 0) return;
    line.mean_kl /= line.n_rows;
    line.top1_agreement /= line.n_rows;
  }

  void compare_hidden() {
    const Tensor* hidden = find("hidden", {trace_.backbone_width});
    if (hidden == nullptr) return;
    const auto& golden = values<float>(*hidden, "hidden");
    const auto width = static_cast<size_t>(trace_.backbone_width);
    double maximum = 0;
    for (size_t i = 0; i < golden.size() && i < trace_.hidden.size(); ++i) {
      if (same_past(static_cast<int>(i / width), 0)) raise_to(maximum, std::abs(double{golden[i]} - trace_.hidden[i]));
    }
    result_.max_differences.emplace_back("hidden", maximum);
  }

  // What the golden files say of a row in few numbers: [n, n_codebooks] or [n, n_codebooks, 4].
  void compare_summaries() {
    compare_summary("lse", 1, [](const Row& row, int) { return Row{log_sum_exp(row)}; });
    compare_summary("chosen", 1, [](const Row& row, int code) { return Row{row[static_cast<size_t>(code)]}; });
    compare_summary("top_val", 4, [](const Row& row, int) {
      Row top(4, 0.0);
      std::partial_sort_copy(row.begin(), row.end(), top.begin(), top.end(), std::greater<>());
      return top;
    });
  }

  void compare_summary(const char* name, int n, const std::function<Row(const Row&, int)>& summarise) {
    std::vector<int64_t> shape = {n_codebooks_};
    if (n > 1) shape.push_back(n);
    const Tensor* tensor = find(name, shape);
    if (tensor == nullptr || trace_.audio_vocab < n) return;
    const auto& golden = values<float>(*tensor, name);
    double maximum = 0;
    for (int frame = 0; frame < result_.n_frames; ++frame) {
      for (int codebook = 0; codebook < n_codebooks_ && same_past(frame, codebook); ++codebook) {
        const size_t row = row_index(frame, codebook);
        const bool other_code = frame == result_.first_different_frame && codebook == result_.first_different_codebook;
        if ((row + 1) * static_cast<size_t>(n) > golden.size() || other_code) continue;
        const Row ours = summarise(our_row(frame, codebook), trace_.codes.ids[row]);
        for (size_t i = 0; i < ours.size(); ++i) raise_to(maximum, std::abs(golden[row * ours.size() + i] - ours[i]));
      }
    }
    result_.max_differences.emplace_back(name, maximum);
  }

  const Trace& trace_;
  const std::string& path_;
  TensorFile file_;
  int n_codebooks_;
  const Tensor* logits_ = nullptr;
  const std::vector<float>* golden_logits_ = nullptr;
  int n_ids_ = 0;
  int stride_ = 1;
  Comparison result_;
};

std::string text_line(const std::string& name, const LogitsComparison& line) {
  if (line.n_rows == 0) return fmt::format("{:>8}  {:>14}\n", name, "no rows");
  return fmt::format("{:>8}  {:>14.3e}  {:>12.3e}  {:>8.2f} %\n", name, line.max_difference, line.mean_kl,
                     100 * line.top1_agreement);
}

// JSON has no NaN; null says the same.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json json_line(const LogitsComparison& line) {
  return {{"rows", line.n_rows},
          {"max_difference", number(line.max_difference)},
          {"mean_kl", number(line.mean_kl)},
          {"top1_agreement", number(line.top1_agreement)}};
}

}  // namespace

Comparison compare_with_golden(const Trace& trace, const std::string& path) { return Comparer(trace, path).run(); }

std::string to_text(const Comparison& comparison) {
  std::string text = fmt::format("{} frames compared with {}, {} of {} logits in each row\n", comparison.n_frames,
                                 comparison.golden, comparison.n_ids, comparison.audio_vocab);
  text += fmt::format("{:>8}  {:>14}  {:>12}  {:>10}\n", "codebook", "max difference", "mean KL", "top-1");
  for (size_t i = 0; i < comparison.codebooks.size(); ++i)
    text += text_line(std::to_string(i), comparison.codebooks[i]);
  text += text_line("all", comparison.total);
  for (const auto& [name, difference] : comparison.max_differences) {
    text += fmt::format("{:>8}  {:>14.3e}\n", name, difference);
  }
  if (comparison.first_different_frame < 0) return text + "codes: equal\n";
  return text +
         fmt::format("codes: differ first in frame {}, codebook {}; later rows have another past and are left out\n",
                     comparison.first_different_frame, comparison.first_different_codebook);
}

Json to_json(const Comparison& comparison) {
  Json codebooks = Json::array();
  for (const LogitsComparison& line : comparison.codebooks) codebooks.push_back(json_line(line));
  Json differences = Json::object();
  for (const auto& [name, difference] : comparison.max_differences) differences[name] = number(difference);
  Json first = nullptr;
  if (comparison.first_different_frame >= 0) {
    first = {{"frame", comparison.first_different_frame}, {"codebook", comparison.first_different_codebook}};
  }
  return {{"golden", comparison.golden},     {"frames", comparison.n_frames},
          {"ids_per_row", comparison.n_ids}, {"audio_vocab", comparison.audio_vocab},
          {"codebooks", codebooks},          {"total", json_line(comparison.total)},
          {"max_differences", differences},  {"first_different_code", first}};
}

}  // namespace csm::app
