#include "backends/mlx/mlx_backend.h"

#include <map>
#include <utility>

#include "backends/mlx/device.h"
#include "backends/mlx/language_model.h"
#include "backends/mlx/mimi.h"

namespace csm {
namespace {

class MlxBackend final : public Backend {
 public:
  std::string name() const override { return "mlx"; }
  std::string version() const override { return mlx_backend::mx::version(); }
  std::vector<DeviceInfo> devices() const override { return mlx_backend::list_devices(); }
  std::vector<std::string> cpu_features() const override { return {}; }
  // MLX computes on one thread for each stream, and an engine has one stream.
  int default_threads() const override { return 1; }
  bool plans_graphs() const override { return false; }

  std::unique_ptr<LanguageModel> load_language_model(std::shared_ptr<const Checkpoint> checkpoint,
                                                     const BackendOptions& options) override {
    return mlx_backend::make_language_model(device(options), std::move(checkpoint), options);
  }
  std::unique_ptr<Codec> load_codec(std::shared_ptr<const Checkpoint> checkpoint,
                                    const BackendOptions& options) override {
    return mlx_backend::make_mimi(device(options), std::move(checkpoint), options);
  }

 private:
  // The language model and the codec of an engine share one device and its stream.
  std::shared_ptr<mlx_backend::Device> device(const BackendOptions& options) {
    std::weak_ptr<mlx_backend::Device>& known = devices_[options.device];
    std::shared_ptr<mlx_backend::Device> device = known.lock();
    if (device == nullptr) {
      device = mlx_backend::Device::open(options.device, options.memory);
      known = device;
    }
    return device;
  }

  std::map<std::string, std::weak_ptr<mlx_backend::Device>> devices_;
};

}  // namespace

std::unique_ptr<Backend> make_mlx_backend() { return std::make_unique<MlxBackend>(); }

}  // namespace csm
