#include "backends/mlx/device.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <variant>

#include "base/fail.h"
#include "base/system.h"

namespace csm::mlx_backend {
namespace {

// Buffers that MLX may keep for reuse. A frame needs a few tens of MB; more would only hide memory from the system.
constexpr size_t kCpuCacheBytes = size_t{32} << 20;
constexpr size_t kGpuCacheBytes = size_t{512} << 20;
// Share of a GPU's memory that may stay resident, so that weights are not paged out between utterances.
constexpr size_t kWiredPercent = 70;

// Streams cannot be destroyed, so those of closed engines are kept for the next.
struct StreamPool {
  std::mutex mutex;
  std::vector<mx::Stream> unused;
  uint64_t n_opened = 0;
};

StreamPool& pool() {
  static StreamPool streams;
  return streams;
}

mx::Stream take_stream(mx::Device device) {
  StreamPool& streams = pool();
  const std::lock_guard lock(streams.mutex);
  for (auto it = streams.unused.begin(); it != streams.unused.end(); ++it) {
    if (it->device != device) continue;
    const mx::Stream stream = *it;
    streams.unused.erase(it);
    return stream;
  }
  ++streams.n_opened;
  return mx::new_thread_unsafe_stream(device);
}

bool has_gpu() { return mx::is_available(mx::Device(mx::Device::gpu)); }

size_t memory_of(const mx::Device& device) {
  const auto& info = mx::device_info(device);
  for (const char* key : {"memory_size", "total_memory", "max_recommended_working_set_size"}) {
    const auto found = info.find(key);
    if (found != info.end() && std::holds_alternative<size_t>(found->second)) return std::get<size_t>(found->second);
  }
  return 0;
}

std::string name_of(const mx::Device& device) {
  const auto& info = mx::device_info(device);
  for (const char* key : {"device_name", "architecture"}) {
    const auto found = info.find(key);
    if (found != info.end() && std::holds_alternative<std::string>(found->second))
      return std::get<std::string>(found->second);
  }
  return {};
}

// Metal's; 0 elsewhere.
size_t greatest_wired_limit(const mx::Device& device) {
  if (device == mx::Device::cpu) return 0;
  const auto& info = mx::device_info(device);
  const auto found = info.find("max_recommended_working_set_size");
  return found != info.end() && std::holds_alternative<size_t>(found->second) ? std::get<size_t>(found->second) : 0;
}

void limit_memory(const mx::Device& device, const MemoryOptions& memory) {
  static const size_t kOwnMemoryLimit = mx::get_memory_limit();  // MLX's, before anybody changed it
  const size_t greatest_wired = greatest_wired_limit(device);
  const uint64_t wired = memory.wired_limit_bytes.value_or(greatest_wired / 100 * kWiredPercent);
  if (wired > greatest_wired) {
    fail(ErrorCode::kInvalidArgument, "the mlx wired limit is {} bytes; {}", wired,
         greatest_wired == 0 ? "this device keeps no memory resident (Metal does), so leave it out"
                             : fmt::format("this device can keep {} bytes resident", greatest_wired));
  }
  const size_t cache = device == mx::Device::cpu ? kCpuCacheBytes : kGpuCacheBytes;
  mx::set_memory_limit(memory.memory_limit_bytes.value_or(kOwnMemoryLimit));
  mx::set_cache_limit(memory.cache_limit_bytes.value_or(cache));
  if (greatest_wired > 0) mx::set_wired_limit(wired);
}

mx::Device choose(const std::string& name) {
  if (name == "cpu") return mx::Device(mx::Device::cpu);
  if (name == "auto") return mx::Device(has_gpu() ? mx::Device::gpu : mx::Device::cpu);
  if (name != "gpu")
    fail(ErrorCode::kInvalidArgument, "MLX has no device '{}'; expected auto, cpu{}", name, has_gpu() ? " or gpu" : "");
  if (!has_gpu()) {
    fail(ErrorCode::kUnsupported,
         "MLX finds no GPU here (Metal on Apple silicon, or a CUDA build of MLX); use --device cpu or "
         "--backend ggml");
  }
  return mx::Device(mx::Device::gpu);
}

template <typename T>
void copy_out(const mx::array& evaluated, std::span<T> out) {
  if (evaluated.size() != out.size() || !evaluated.flags().row_contiguous) {
    fail(ErrorCode::kInternal, "an MLX result of {} values was read as {}", evaluated.size(), out.size());
  }
  std::memcpy(out.data(), evaluated.data<T>(), out.size_bytes());
}

}  // namespace

void rethrow(const char* what, const std::exception& error) {
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  const bool is_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
                         text.find("malloc") != std::string::npos || text.find("allocate") != std::string::npos ||
                         text.find("memory") != std::string::npos;
  if (is_memory) fail(ErrorCode::kResourceLimit, "{}: MLX ran out of memory: {}", what, text);
  fail(ErrorCode::kInternal, "{}: MLX failed: {}", what, text);
}

std::shared_ptr<Device> Device::open(const std::string& name, const MemoryOptions& memory) {
  return guarded("opening an MLX device", [&] {
    const mx::Device device = choose(name);
    limit_memory(device, memory);
    std::shared_ptr<Device> opened(new Device(take_stream(device), memory.clears_after_utterance));
    // A first small computation, so that a device that cannot start says so now.
    evaluate({mx::add(mx::array(1.0f), mx::array(1.0f), opened->stream())});
    return opened;
  });
}

Device::~Device() {
  try {
    mx::synchronize(stream_);
    mx::clear_cache();
    StreamPool& streams = pool();
    const std::lock_guard lock(streams.mutex);
    streams.unused.push_back(stream_);
  } catch (const std::exception&) {
    // The stream is lost for reuse; nothing else depends on it.
  }
}

void Device::end_utterance() const {
  if (clears_after_utterance_) mx::clear_cache();
}

bool Device::transposes_matrices() const {
#ifdef __APPLE__
  return false;
#else
  return is_cpu();
#endif
}

uint64_t Device::n_streams() {
  const std::lock_guard lock(pool().mutex);
  return pool().n_opened;
}

std::vector<DeviceInfo> list_devices() {
  return guarded("listing MLX devices", [] {
    std::vector<DeviceInfo> devices;
    if (has_gpu()) {
      const mx::Device gpu(mx::Device::gpu);
      devices.push_back({"gpu", name_of(gpu), memory_of(gpu)});
    }
    devices.push_back({"cpu", name_of(mx::Device(mx::Device::cpu)), total_memory_bytes()});
    return devices;
  });
}

void evaluate(const std::vector<mx::array>& arrays) { mx::eval(arrays); }

void read(const mx::array& evaluated, std::span<float> out) { copy_out(evaluated, out); }
void read(const mx::array& evaluated, std::span<int32_t> out) { copy_out(evaluated, out); }

mx::array to_array(std::span<const float> values, mx::Shape shape) {
  return mx::array(values.data(), std::move(shape), mx::float32);
}
mx::array to_array(std::span<const int32_t> values, mx::Shape shape) {
  return mx::array(values.data(), std::move(shape), mx::int32);
}

}  // namespace csm::mlx_backend
