#include "backends/mlx/mimi.h"

#include "backends/mlx/mimi_streams.h"

namespace csm::mlx_backend {
namespace {

class Mimi final : public Codec {
 public:
  Mimi(std::shared_ptr<Device> device, const Checkpoint& checkpoint, const BackendOptions& options)
      : shared_{device, load_mimi_weights(device, checkpoint, options.codec_type), options.stage_tap} {}

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
    return std::make_unique<Mimi>(std::move(device), *checkpoint, options);
  });
}

}  // namespace csm::mlx_backend
