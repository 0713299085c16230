#include "backends/mlx/mimi.h"

#include <fmt/format.h>

#include <utility>

#include "backends/mlx/mimi_streams.h"
#include "model/weight_types.h"

namespace csm::mlx_backend {
namespace {

class Mimi final : public Codec {
 public:
  Mimi(std::shared_ptr<Device> device, std::shared_ptr<const MimiWeights> weights, StageTap* tap)
      : shared_{std::move(device), std::move(weights), tap} {}

  const CodecSpec& spec() const override { return shared_.weights->spec; }
  std::unique_ptr<CodecDecoder> new_decoder() override {
    return guarded("making a codec decoder", [&] { return make_mimi_decoder(shared_); });
  }
  std::unique_ptr<CodecEncoder> new_encoder() override {
    return guarded("making a codec encoder", [&] { return make_mimi_encoder(shared_); });
  }
  // As for the language model: what stays after load.
  uint64_t n_setups() const override { return Device::n_streams(); }
  uint64_t weight_bytes() const override { return shared_.weights->n_bytes; }

 private:
  MimiShared shared_;
};

}  // namespace

std::unique_ptr<Codec> make_mimi(std::shared_ptr<Device> device, std::shared_ptr<const Checkpoint> checkpoint,
                                 const BackendOptions& options) {
  return guarded("loading the codec", [&]() -> std::unique_ptr<Codec> {
    const std::string settings = fmt::format("codec {}; {}", to_string(options.codec_type), layout_text(*device));
    const auto load = [&](auto found, WeightCacheWriter* writer) {
      WeightLoader loader(device, std::move(found), writer);
      return load_mimi_weights(loader, *checkpoint, options.codec_type);
    };
    return std::make_unique<Mimi>(device, load_through_cache(options.weight_cache.get(), settings, *checkpoint, load),
                                  options.stage_tap);
  });
}

}  // namespace csm::mlx_backend
