#include "backends/ggml/ggml_backend.h"

#include <map>
#include <mutex>
#include <utility>

#include "backends/ggml/device.h"
#include "backends/ggml/language_model.h"
#include "backends/ggml/mimi.h"
#include "base/system.h"

namespace csm {
namespace {

class GgmlBackend final : public Backend {
 public:
  std::string name() const override { return "ggml"; }
  std::string version() const override { return ggml_version(); }
  std::vector<DeviceInfo> devices() const override { return ggml::list_devices(); }
  std::vector<std::string> cpu_features() const override { return ggml::list_cpu_features(); }
  int default_threads() const override { return n_physical_cores(); }

  std::unique_ptr<LanguageModel> load_language_model(std::shared_ptr<const Checkpoint> checkpoint,
                                                     const BackendOptions& options) override {
    return ggml::make_language_model(device(options), std::move(checkpoint), options);
  }
  std::unique_ptr<Codec> load_codec(std::shared_ptr<const Checkpoint> checkpoint, const BackendOptions& options) override {
    return ggml::make_mimi(device(options), std::move(checkpoint), options);
  }

 private:
  // The language model and the codec of an engine share one device and its threads.
  std::shared_ptr<ggml::Device> device(const BackendOptions& options) {
    std::weak_ptr<ggml::Device>& known = devices_[{options.device, options.n_threads}];
    std::shared_ptr<ggml::Device> device = known.lock();
    if (device == nullptr) {
      device = ggml::Device::open(options.device, options.n_threads);
      known = device;
    }
    return device;
  }

  std::map<std::pair<std::string, int>, std::weak_ptr<ggml::Device>> devices_;
};

}  // namespace

std::unique_ptr<Backend> make_ggml_backend() { return std::make_unique<GgmlBackend>(); }

}  // namespace csm
