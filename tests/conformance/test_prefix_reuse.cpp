// Prompts continued from the pool = prompts computed anew, bit for bit: every backend, float and quantised weights, every type of
// key-value memory, any history of the sequence that is reused.
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "backends/registry.h"
#include "csm/error.h"
#include "engine/loader.h"
#include "engine/prefix_pool.h"
#include "golden/golden.h"
#include "model/kv_cache.h"

namespace csm::test {
namespace {

struct HiddenRecorder final : LogitsTap {
  std::vector<float> values;
  void on_logits(int, std::span<const float> row) override { values.insert(values.end(), row.begin(), row.end()); }
  void on_hidden(std::span<const float> row) override { values.insert(values.end(), row.begin(), row.end()); }
};

// Text and audio segments of random ids; the same seed, the same segment.
struct SegmentedPrompt {
  Prompt prompt;
  std::vector<int> ends;

  void add(const ModelSpec& spec, bool is_text, int n_rows, unsigned seed) {
    std::mt19937 random(seed);
    prompt.n_columns = spec.n_codebooks + 1;
    for (int row = 0; row < n_rows; ++row) {
      for (int column = 0; column < prompt.n_columns; ++column) {
        const bool is_text_column = column == spec.n_codebooks;
        const auto limit = static_cast<unsigned>(is_text_column ? spec.text_vocab : spec.n_valid_codes());
        prompt.mask.push_back(is_text == is_text_column ? 1 : 0);
        prompt.frames.push_back(is_text == is_text_column ? static_cast<int32_t>(random() % limit) : 0);
      }
    }
    ends.push_back(prompt.n_positions());
  }
};

// The turns named by seed: text and audio of each, and a text at the end.
SegmentedPrompt prompt_of(const ModelSpec& spec, const std::vector<unsigned>& turns, unsigned last) {
  SegmentedPrompt result;
  for (const unsigned turn : turns) {
    result.add(spec, true, 3 + static_cast<int>(turn % 11), turn);
    result.add(spec, false, 1 + static_cast<int>(turn * 37 % 150), turn + 1000);
  }
  result.add(spec, true, 1 + static_cast<int>(last % 9), last);
  return result;
}

class PrefixReuse : public ::testing::TestWithParam<std::string> {
 protected:
  void load(const std::string& path, WeightType weights, KvType kv) {
    checkpoint_ = load_checkpoint(find_model_files(path));
    BackendOptions options;
    options.n_threads = 1;
    options.backbone_type = options.depth_type = weights;
    options.kv_type = kv_ = kv;
    backend_ = make_backend(GetParam());
    model_ = backend_->load_language_model(checkpoint_, options);
  }
  const ModelSpec& spec() const { return checkpoint_->spec(); }
  PrefixPool pool_of(int n_sequences, uint64_t total = 0) {
    return PrefixPool(*model_, kv_, {n_sequences, uint64_t{1} << 30, total});
  }

  // Hidden state and logits of three frames from here, the drawn codes appended: the sequence is used as an utterance would.
  std::vector<float> speak(Sequence& sequence, uint64_t seed) {
    const auto n_codebooks = static_cast<size_t>(spec().n_codebooks);
    HiddenRecorder tap;
    FrameSampling sampling;
    std::vector<int32_t> row(n_codebooks + 1, 0);
    std::vector<uint8_t> mask(n_codebooks + 1, 1);
    mask.back() = 0;
    for (uint32_t frame = 0; frame < 3; ++frame) {
      FrameRequest request;
      request.sequence = &sequence;
      request.sampling = &sampling;
      request.noise = {seed, 0, frame};
      request.tap = &tap;
      request.out = std::span(row).first(n_codebooks);
      model_->next_frames({&request, 1});
      model_->append(sequence, {row, mask, spec().n_codebooks + 1});
    }
    return tap.values;
  }
  std::vector<float> fresh(const SegmentedPrompt& prompt, int room) {
    PrefixPool none = pool_of(0);
    const PrefixPool::Loan loan =
        none.prefill(prompt.prompt, prompt.ends, prompt.prompt.n_positions() + room, CancelToken());
    EXPECT_EQ(loan.n_reused(), 0);
    return speak(*loan.sequence(), 7);
  }
  void expect_same(PrefixPool& pool, const SegmentedPrompt& prompt, int room, int n_reused) {
    const PrefixPool::Loan loan =
        pool.prefill(prompt.prompt, prompt.ends, prompt.prompt.n_positions() + room, CancelToken());
    EXPECT_EQ(loan.n_reused(), n_reused);
    EXPECT_EQ(loan.sequence()->n_positions(), prompt.prompt.n_positions());
    EXPECT_EQ(speak(*loan.sequence(), 7), fresh(prompt, 3)) << "not bit for bit";
  }
  // A conversation that grows, one that leaves it half-way, and one that shares nothing.
  void expect_conversations_reuse() {
    PrefixPool pool = pool_of(3);
    const auto end = [](const SegmentedPrompt& prompt, size_t n) { return n == 0 ? 0 : prompt.ends[n - 1]; };
    const SegmentedPrompt one = prompt_of(spec(), {1, 2}, 50);
    expect_same(pool, one, 3, 0);
    const SegmentedPrompt longer = prompt_of(spec(), {1, 2, 3}, 51);
    expect_same(pool, longer, 40, end(longer, 4));
    expect_same(pool, longer, 200, end(longer, 6));  // no room in the one that waits: a copy
    const SegmentedPrompt branch = prompt_of(spec(), {1, 4}, 52);
    expect_same(pool, branch, 3, end(branch, 2));
    expect_same(pool, prompt_of(spec(), {9}, 53), 3, 0);
    expect_same(pool, longer, 3, end(longer, 6));
    expect_same(pool, branch, 3, end(branch, 4));
  }

  std::unique_ptr<Backend> backend_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::unique_ptr<LanguageModel> model_;
  KvType kv_ = KvType::kF32;
};

constexpr const char* kDemo = CSM_MODELS_DIR "/demo";

TEST_P(PrefixReuse, EqualsAFreshPrefillWithAnyWeights) {
  for (const WeightType type : {WeightType::kF32, WeightType::kQ8_0, WeightType::kQ4_0}) {
    SCOPED_TRACE(static_cast<int>(type));
    load(kDemo, type, KvType::kF32);
    expect_conversations_reuse();
  }
  load(kData + "/ckpt/csm-tiny-b", WeightType::kF32, KvType::kF32);
  expect_conversations_reuse();
}

TEST_P(PrefixReuse, EqualsAFreshPrefillWithAnyKeyValueType) {
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    SCOPED_TRACE(to_string(type));
    try {
      load(kDemo, WeightType::kQ8_0, type);
    } catch (const Error& error) {  // a backend may lack it, and says so
      ASSERT_EQ(error.code(), ErrorCode::kUnsupported);
      continue;
    }
    expect_conversations_reuse();
  }
}

TEST_P(PrefixReuse, SequencesInUseLendTheirPrompt) {
  load(kDemo, WeightType::kF32, KvType::kF32);
  PrefixPool pool = pool_of(2);
  const SegmentedPrompt a = prompt_of(spec(), {1, 2}, 50);
  const SegmentedPrompt b = prompt_of(spec(), {1, 2}, 51);
  PrefixPool::Loan first = pool.prefill(a.prompt, a.ends, 400, CancelToken());
  expect_same(pool, b, 3, b.ends[3]);
  EXPECT_EQ(speak(*first.sequence(), 7), fresh(a, 3)) << "the lender must not notice";
  first.rewind();
  EXPECT_EQ(speak(*first.sequence(), 7), fresh(a, 3)) << "another attempt starts where the first did";
}

TEST_P(PrefixReuse, IsBoundedAndAccounted) {
  load(kData + "/ckpt/csm-tiny-b", WeightType::kF32, KvType::kF32);
  PrefixPool pool = pool_of(2);
  for (unsigned turn = 1; turn <= 4; ++turn) expect_same(pool, prompt_of(spec(), {turn}, 50), 3, 0);
  PrefixCacheStats stats = pool.stats();
  EXPECT_EQ(stats.n_sequences, 2);
  EXPECT_EQ(stats.n_positions, prompt_of(spec(), {3}, 50).prompt.n_positions() + prompt_of(spec(), {4}, 50).prompt.n_positions());
  EXPECT_EQ(stats.n_bytes, 2 * kv_sequence_bytes(spec().backbone, kv_, 1));
  pool.clear();
  stats = pool.stats();
  EXPECT_EQ(stats.n_sequences + stats.n_positions, 0);
  EXPECT_EQ(stats.n_bytes, 0U);
}

TEST_P(PrefixReuse, KeepsWithinTheMemoryLimit) {
  load(kData + "/ckpt/csm-tiny-b", WeightType::kF32, KvType::kF32);
  const uint64_t one = kv_sequence_bytes(spec().backbone, kv_, 1);
  PrefixPool pool = pool_of(4, 2 * one);
  const SegmentedPrompt a = prompt_of(spec(), {1}, 50);
  const SegmentedPrompt b = prompt_of(spec(), {2}, 50);
  const PrefixPool::Loan first = pool.prefill(a.prompt, a.ends, 200, CancelToken());
  {
    const PrefixPool::Loan second = pool.prefill(b.prompt, b.ends, 200, CancelToken());
    try {
      (void)pool.prefill(b.prompt, b.ends, 200, CancelToken());
      ADD_FAILURE() << "three do not fit";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kResourceLimit);
    }
  }
  EXPECT_EQ(pool.stats().n_sequences, 1);
  const PrefixPool::Loan third = pool.prefill(a.prompt, a.ends, 200, CancelToken());
  EXPECT_EQ(pool.stats().n_sequences, 0) << "the idle one had to go";
}

TEST_P(PrefixReuse, CancellingKeepsWhatWasComputed) {
  load(kData + "/ckpt/csm-tiny-b", WeightType::kF32, KvType::kF32);
  PrefixPool pool = pool_of(2);
  const SegmentedPrompt prompt = prompt_of(spec(), {1, 2}, 50);
  CancelToken cancelled;
  cancelled.cancel();
  EXPECT_THROW((void)pool.prefill(prompt.prompt, prompt.ends, 400, cancelled), Error);
  EXPECT_EQ(pool.stats().n_sequences, 0);
  expect_same(pool, prompt, 3, 0);
  const SegmentedPrompt longer = prompt_of(spec(), {1, 2, 3}, 50);
  EXPECT_THROW((void)pool.prefill(longer.prompt, longer.ends, 500, cancelled), Error);
  expect_same(pool, longer, 3, longer.ends[3]);
}

TEST_P(PrefixReuse, CopiesReportWhatCannotBe) {
  load(kData + "/ckpt/csm-tiny-b", WeightType::kF32, KvType::kF32);
  const SegmentedPrompt prompt = prompt_of(spec(), {1}, 50);
  const auto from = model_->new_sequence(300);
  const auto to = model_->new_sequence(20);
  model_->append(*from, {prompt.prompt.frames, prompt.prompt.mask, prompt.prompt.n_columns});
  const auto code_of = [&](int n, Sequence& target) {
    try {
      model_->copy_prefix(*from, n, target);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code_of(from->n_positions() + 1, *to), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(-1, *to), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(1, *from), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(21, *to), ErrorCode::kResourceLimit);
  EXPECT_EQ(to->n_positions(), 0);
}

INSTANTIATE_TEST_SUITE_P(All, PrefixReuse, ::testing::ValuesIn(backend_names()), [](const auto& info) { return info.param; });

}  // namespace
}  // namespace csm::test
