#include "backends/ggml/mimi.h"

#include "backends/ggml/mimi_streams.h"
#include "base/fail.h"

namespace csm::ggml {
namespace {

class Mimi final : public Codec {
 public:
  Mimi(std::shared_ptr<Device> device, const Checkpoint& checkpoint, const BackendOptions& options)
      : path_(options.path),
        shared_{device,
                std::make_shared<const MimiWeights>(
                    device, checkpoint, options.codec_type,
                    options.path == ExecutionPath::kNaive ? ConvolutionLayout::kPlain : ConvolutionLayout::kWindow),
                options.stage_tap} {}

  const CodecSpec& spec() const override { return shared_.weights->spec; }
  std::unique_ptr<CodecDecoder> new_decoder() override {
    return path_ == ExecutionPath::kNaive ? make_naive_mimi_decoder(shared_) : make_mimi_decoder(shared_);
  }
  std::unique_ptr<CodecEncoder> new_encoder() override { return make_mimi_encoder(shared_); }
  uint64_t n_setups() const override { return shared_.device->n_setups(); }
  uint64_t weight_bytes() const override { return shared_.weights->n_bytes(); }

 private:
  ExecutionPath path_;
  MimiShared shared_;
};

}  // namespace

void check_codes(const CodecSpec& spec, std::span<const int32_t> codes, int n_codebooks) {
  if (n_codebooks < 1 || n_codebooks > spec.n_codebooks) {
    fail(ErrorCode::kInvalidArgument, "the codec decodes 1..{} codebooks; found {}", spec.n_codebooks, n_codebooks);
  }
  if (codes.size() % static_cast<size_t>(n_codebooks) != 0) {
    fail(ErrorCode::kInvalidArgument, "codes must be whole frames of {} codebooks; found {} codes", n_codebooks,
         codes.size());
  }
  for (size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] >= 0 && codes[i] < spec.codebook_size) continue;
    fail(ErrorCode::kInvalidArgument, "code {} of codebook {} in frame {} is out of range; the codec has 0..{}",
         codes[i], i % static_cast<size_t>(n_codebooks), i / static_cast<size_t>(n_codebooks), spec.codebook_size - 1);
  }
}

std::unique_ptr<Codec> make_mimi(std::shared_ptr<Device> device, std::shared_ptr<const Checkpoint> checkpoint,
                                 const BackendOptions& options) {
  return std::make_unique<Mimi>(std::move(device), *checkpoint, options);
}

}  // namespace csm::ggml
