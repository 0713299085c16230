#include "model/frame_request.h"

#include "base/fail.h"

namespace csm {

void check_window(const ModelSpec& spec, int max_positions) {
  if (max_positions >= 1 && max_positions <= spec.max_positions) return;
  fail(ErrorCode::kResourceLimit, "a sequence of {} positions was asked for; this model's window has {}", max_positions,
       spec.max_positions);
}

void check_truncation(const Sequence& sequence, int position) {
  if (position >= 0 && position <= sequence.n_positions()) return;
  fail(ErrorCode::kInvalidArgument, "cannot keep {} positions of a sequence that has {}", position,
       sequence.n_positions());
}

void check_rows(const ModelSpec& spec, const Sequence& sequence, FramesView rows) {
  const int n_columns = spec.n_codebooks + 1;
  if (rows.n_columns != n_columns || rows.ids.size() != rows.mask.size() ||
      rows.ids.size() % static_cast<size_t>(n_columns) != 0) {
    fail(ErrorCode::kInvalidArgument, "frames must have {} columns; found {}", n_columns, rows.n_columns);
  }
  if (rows.n_rows() > sequence.max_positions() - sequence.n_positions()) {
    fail(ErrorCode::kResourceLimit, "{} more positions do not fit: {} of {} are used; shorten the context or the text",
         rows.n_rows(), sequence.n_positions(), sequence.max_positions());
  }
  for (size_t i = 0; i < rows.ids.size(); ++i) {
    const int column = static_cast<int>(i % static_cast<size_t>(n_columns));
    const int limit = column == spec.n_codebooks ? spec.text_vocab : spec.audio_vocab;
    if (rows.mask[i] != 0 && (rows.ids[i] < 0 || rows.ids[i] >= limit)) {
      fail(ErrorCode::kInvalidArgument, "row {} of the frames has id {} in column {}; expected 0..{}",
           i / static_cast<size_t>(n_columns), rows.ids[i], column, limit - 1);
    }
  }
}

void check_request(const ModelSpec& spec, const FrameRequest& request) {
  const auto n_codebooks = static_cast<size_t>(spec.n_codebooks);
  if (request.out.size() != n_codebooks || (!request.forced.empty() && request.forced.size() != n_codebooks)) {
    fail(ErrorCode::kInvalidArgument, "a frame has {} codes; found room for {} and {} forced ones", n_codebooks,
         request.out.size(), request.forced.size());
  }
  for (const int32_t code : request.forced) {
    if (code < 0 || code >= spec.audio_vocab) {
      fail(ErrorCode::kInvalidArgument, "forced code {} is outside 0..{}", code, spec.audio_vocab - 1);
    }
  }
  if (request.forced.empty() && request.sampling == nullptr) {
    fail(ErrorCode::kInvalidArgument, "a frame needs sampling options or forced codes");
  }
}

}  // namespace csm
