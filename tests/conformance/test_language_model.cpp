// The laws of the seam (src/model/model.h) for every built-in backend's language model.
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <random>

#include "backends/registry.h"
#include "csm/error.h"
#include "engine/loader.h"
#include "golden/golden.h"

namespace csm::test {
namespace {

struct Rows {
  std::vector<int32_t> ids;
  std::vector<uint8_t> mask;
  int n_columns = 0;

  FramesView view(int first, int n) const {
    const auto start = static_cast<size_t>(first * n_columns);
    const auto count = static_cast<size_t>(n * n_columns);
    return {std::span(ids).subspan(start, count), std::span(mask).subspan(start, count), n_columns};
  }
  int n_rows() const { return static_cast<int>(ids.size()) / n_columns; }
};

struct LogitsRecorder final : LogitsTap {
  std::vector<float> logits;
  std::vector<float> hidden;
  void on_logits(int, std::span<const float> row) override { logits.insert(logits.end(), row.begin(), row.end()); }
  void on_hidden(std::span<const float> row) override { hidden.insert(hidden.end(), row.begin(), row.end()); }
};

constexpr float kTolerance = 2e-5f;  // other kernels for other numbers of columns

class LanguageModelLaws : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    backend_ = make_backend(GetParam());
    checkpoint_ = load_checkpoint(find_model_files(kData + "/ckpt/csm-tiny-b"));
    model_ = load(1, KvType::kF32);
  }

  const ModelSpec& spec() const { return checkpoint_->spec(); }
  std::unique_ptr<LanguageModel> load(int n_threads, KvType kv) {
    BackendOptions options;
    options.n_threads = n_threads;
    options.kv_type = kv;
    return backend_->load_language_model(checkpoint_, options);
  }
  // Text rows, then audio rows, of random ids.
  Rows random_rows(int n, unsigned seed) const {
    std::mt19937 random(seed);
    Rows rows;
    rows.n_columns = spec().n_codebooks + 1;
    for (int row = 0; row < n; ++row) {
      const bool text = row < n / 2;
      for (int column = 0; column < rows.n_columns; ++column) {
        const bool text_column = column == spec().n_codebooks;
        rows.mask.push_back(text == text_column ? 1 : 0);
        rows.ids.push_back(static_cast<int32_t>(random() % static_cast<unsigned>(text_column ? spec().text_vocab : spec().n_valid_codes())));
      }
    }
    return rows;
  }
  FrameRequest request(Sequence& sequence, std::vector<int32_t>& out, LogitsTap* tap = nullptr) const {
    out.assign(static_cast<size_t>(spec().n_codebooks), -1);
    FrameRequest request;
    request.sequence = &sequence;
    request.sampling = &sampling_;
    request.noise = {7, 0, 3};
    request.tap = tap;
    request.out = out;
    return request;
  }
  LogitsRecorder logits_of(LanguageModel& model, Sequence& sequence) const {
    LogitsRecorder tap;
    std::vector<int32_t> out;
    FrameRequest one = request(sequence, out, &tap);
    model.next_frames({&one, 1});
    return tap;
  }

  std::unique_ptr<Backend> backend_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::unique_ptr<LanguageModel> model_;
  FrameSampling sampling_;
};

TEST_P(LanguageModelLaws, ChunkedAppendEqualsWholeAppend) {
  const Rows rows = random_rows(300, 1);
  auto whole = model_->new_sequence(300);
  model_->append(*whole, rows.view(0, 300));
  const LogitsRecorder expected = logits_of(*model_, *whole);
  auto chunked = model_->new_sequence(300);
  for (int first = 0, n = 1; first < 300; first += n, n = n * 3 % 17 + 1) {
    model_->append(*chunked, rows.view(first, std::min(n, 300 - first)));
  }
  EXPECT_EQ(chunked->n_positions(), 300);
  const LogitsRecorder found = logits_of(*model_, *chunked);
  EXPECT_LE(max_difference(found.hidden, expected.hidden), kTolerance);
  EXPECT_LE(max_difference(found.logits, expected.logits), 10 * kTolerance);
}

TEST_P(LanguageModelLaws, TruncateAndAppendEqualsFresh) {
  const Rows first = random_rows(40, 1);
  const Rows second = random_rows(60, 2);
  auto reused = model_->new_sequence(100);
  model_->append(*reused, first.view(0, 40));
  model_->append(*reused, second.view(10, 50));
  model_->truncate(*reused, 40);
  EXPECT_EQ(reused->n_positions(), 40);
  std::vector<int32_t> out;
  FrameRequest too_early = request(*reused, out);
  EXPECT_THROW(model_->next_frames({&too_early, 1}), Error);
  model_->append(*reused, second.view(0, 60));
  auto fresh = model_->new_sequence(100);
  model_->append(*fresh, first.view(0, 40));
  model_->append(*fresh, second.view(0, 60));
  EXPECT_EQ(logits_of(*model_, *reused).logits, logits_of(*model_, *fresh).logits);
}

TEST_P(LanguageModelLaws, BatchEqualsOneByOne) {
  constexpr int kBatch = 4;
  const Rows rows = random_rows(50, 3);
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::vector<std::vector<int32_t>> alone(kBatch);
  std::vector<std::vector<int32_t>> together(kBatch);
  std::vector<LogitsRecorder> taps(kBatch);
  std::vector<LogitsRecorder> batch_taps(kBatch);
  std::vector<FrameRequest> batch;
  for (int i = 0; i < kBatch; ++i) {
    const auto index = static_cast<size_t>(i);
    sequences.push_back(model_->new_sequence(64));
    model_->append(*sequences.back(), rows.view(i, 20 + 5 * i));
    FrameRequest one = request(*sequences.back(), alone[index], &taps[index]);
    one.noise.stream = static_cast<uint32_t>(i);
    model_->next_frames({&one, 1});
    FrameRequest part = request(*sequences.back(), together[index], &batch_taps[index]);
    part.noise.stream = static_cast<uint32_t>(i);
    batch.push_back(part);
  }
  model_->next_frames(batch);
  for (size_t i = 0; i < kBatch; ++i) {
    EXPECT_EQ(together[i], alone[i]) << "sequence " << i;
    EXPECT_LE(max_difference(batch_taps[i].logits, taps[i].logits), 10 * kTolerance) << "sequence " << i;
  }
}

TEST_P(LanguageModelLaws, ThreadsDoNotChangeTheResult) {
  const Rows rows = random_rows(270, 4);
  const auto two = load(2, KvType::kF32);
  auto a = model_->new_sequence(270);
  auto b = two->new_sequence(270);
  model_->append(*a, rows.view(0, 270));
  two->append(*b, rows.view(0, 270));
  EXPECT_EQ(logits_of(*model_, *a).logits, logits_of(*two, *b).logits);
}

TEST_P(LanguageModelLaws, SteadyStateBuildsNothing) {
  const Rows rows = random_rows(600, 5);
  auto sequence = model_->new_sequence(600);
  model_->append(*sequence, rows.view(0, 250));
  logits_of(*model_, *sequence);
  const uint64_t before = model_->n_setups();
  for (int row = 250; row < 530; ++row) {  // over two limits of length classes
    model_->append(*sequence, rows.view(row, 1));
    if (row % 20 == 0) logits_of(*model_, *sequence);
  }
  EXPECT_EQ(model_->n_setups(), before);
}

TEST_P(LanguageModelLaws, HalfPrecisionCacheIsClose) {
  const Rows rows = random_rows(80, 6);
  const auto half = load(1, KvType::kF16);
  auto a = model_->new_sequence(80);
  auto b = half->new_sequence(80);
  model_->append(*a, rows.view(0, 80));
  half->append(*b, rows.view(0, 80));
  const float difference = max_difference(logits_of(*model_, *a).hidden, logits_of(*half, *b).hidden);
  EXPECT_LE(difference, 0.05f);
  EXPECT_GT(difference, 0.0f) << "the cache's type must matter";
}

TEST_P(LanguageModelLaws, MinimumLengthAndMasksHold) {
  const Rows rows = random_rows(30, 8);
  auto sequence = model_->new_sequence(64);
  model_->append(*sequence, rows.view(0, 30));
  FrameSampling wild;
  wild.backbone.temperature = wild.depth.temperature = 100.0f;
  wild.backbone.top_k = wild.depth.top_k = 0;
  wild.backbone.logit_bias = {{0, 1e6f}};
  std::vector<int32_t> out;
  for (uint32_t frame = 0; frame < 200; ++frame) {
    FrameRequest one = request(*sequence, out);
    one.sampling = &wild;
    one.noise.frame = frame;
    one.suppress_end = frame % 2 == 0;
    model_->next_frames({&one, 1});
    if (one.suppress_end) EXPECT_NE(out[0], 0);
    if (!one.suppress_end) EXPECT_EQ(out[0], 0) << "the bias must win when the end is allowed";
    for (const int32_t code : out) EXPECT_LT(code, spec().n_valid_codes());
  }
}

// A great stop bias ends the speech whatever the model thinks of it, since it follows the end through all codebooks; far
// below zero there is no end.
TEST_P(LanguageModelLaws, TheStopBiasDecidesTheEnd) {
  const Rows rows = random_rows(30, 8);
  auto sequence = model_->new_sequence(64);
  model_->append(*sequence, rows.view(0, 30));
  std::vector<int32_t> out;
  const auto n_ends = [&](float bias, const FrameSampling& sampling) {
    int n = 0;
    for (uint32_t frame = 0; frame < 40; ++frame) {
      FrameRequest one = request(*sequence, out);
      one.sampling = &sampling;
      one.noise.frame = frame;
      one.stop_bias = bias;
      model_->next_frames({&one, 1});
      n += std::all_of(out.begin(), out.end(), [](int32_t code) { return code == 0; });
    }
    return n;
  };
  FrameSampling wild;
  wild.backbone.temperature = wild.depth.temperature = 2.0f;
  wild.backbone.top_k = wild.depth.top_k = 0;
  EXPECT_EQ(n_ends(1000, wild), 40);
  EXPECT_EQ(n_ends(-1000, wild), 0);
  wild.backbone.logit_bias = wild.depth.logit_bias = {{0, 1000.0f}};
  EXPECT_EQ(n_ends(0, wild), 40);
}

// The same codes however a codebook came by its settings, and other codes than with the plain ones.
TEST_P(LanguageModelLaws, SchedulesAreWhatTheySay) {
  const Rows rows = random_rows(30, 8);
  auto sequence = model_->new_sequence(64);
  model_->append(*sequence, rows.view(0, 30));
  const auto codes = [&](const FrameSampling& sampling) {
    std::vector<int32_t> all;
    std::vector<int32_t> out;
    for (uint32_t frame = 0; frame < 8; ++frame) {
      FrameRequest one = request(*sequence, out);
      one.sampling = &sampling;
      one.noise.frame = frame;
      model_->next_frames({&one, 1});
      all.insert(all.end(), out.begin(), out.end());
    }
    return all;
  };
  FrameSampling plain;
  FrameSampling flat = plain;
  flat.backbone.temperature = flat.depth.temperature = 30;
  flat.backbone.temperature_schedule = flat.depth.temperature_schedule = {{3, plain.depth.temperature}};
  flat.backbone.top_k_schedule = flat.depth.top_k_schedule = {{0, 50}};
  EXPECT_EQ(codes(flat), codes(plain));
  FrameSampling falling = plain;
  falling.depth.temperature_schedule = {{1, 1.5f}, {3, 0.0f}};
  EXPECT_NE(codes(falling), codes(plain));
}

TEST_P(LanguageModelLaws, ErrorsLeaveTheSequenceAsItWas) {
  Rows rows = random_rows(40, 7);
  auto sequence = model_->new_sequence(32);
  model_->append(*sequence, rows.view(0, 30));
  const std::vector<float> before = logits_of(*model_, *sequence).logits;
  const auto code_of = [&](auto&& action) {
    try {
      action();
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code_of([&] { model_->append(*sequence, rows.view(30, 3)); }), ErrorCode::kResourceLimit);
  rows.ids[31 * 17] = spec().audio_vocab;
  rows.mask[31 * 17] = 1;
  EXPECT_EQ(code_of([&] { model_->append(*sequence, rows.view(30, 2)); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { model_->append(*sequence, FramesView{std::span(rows.ids).first(5), std::span(rows.mask).first(5), 5}); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { model_->truncate(*sequence, 31); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { (void)model_->new_sequence(spec().max_positions + 1); }), ErrorCode::kResourceLimit);
  EXPECT_EQ(code_of([&] { (void)model_->new_sequence(0); }), ErrorCode::kResourceLimit);
  std::vector<int32_t> out;
  FrameRequest forced = request(*sequence, out);
  std::vector<int32_t> bad(static_cast<size_t>(spec().n_codebooks), spec().audio_vocab);
  forced.forced = bad;
  EXPECT_EQ(code_of([&] { model_->next_frames({&forced, 1}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(sequence->n_positions(), 30);
  EXPECT_EQ(logits_of(*model_, *sequence).logits, before);
}

INSTANTIATE_TEST_SUITE_P(All, LanguageModelLaws, ::testing::ValuesIn(backend_names()), [](const auto& info) { return info.param; });

}  // namespace
}  // namespace csm::test
