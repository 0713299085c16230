// Where MLX computes: a device, and a stream that belongs to one engine; and the border at which MLX's exceptions end.
//
// Place in the flow: the backend opens a device for an engine; weights, model and codec share it. MLX's default streams
// belong to threads, so every operation here names its stream, which may be used from any one thread at a time: a model
// may be made on one thread and used on another. The process-wide default device of MLX is never touched.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <mlx/mlx.h>

#include <csm/error.h>
#include "model/backend.h"

namespace csm::mlx_backend {

namespace mx = ::mlx::core;

// Throws csm::Error for an exception of MLX: kResourceLimit when memory ran out, else kInternal. `what` opens the
// message.
[[noreturn]] void rethrow(const char* what, const std::exception& error);

// Runs f so that nothing but csm::Error leaves it.
template <typename F>
auto guarded(const char* what, F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    rethrow(what, error);
  }
}

class Device {
 public:
  // "auto" (a GPU when there is one), "cpu" or "gpu". Errors: kInvalidArgument, kUnsupported when MLX cannot start
  // there.
  // MLX's limits are the process's: the device opened last sets them.
  static std::shared_ptr<Device> open(const std::string& name, const MemoryOptions& memory = {});
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const mx::Stream& stream() const { return stream_; }
  bool is_cpu() const { return stream_.device == mx::Device::cpu; }
  // Dense matrices lie as [in, out]: the BLAS of the Linux packages reads that order several times faster. Apple's does
  // not care, and GPU kernels for one row want [out, in].
  bool transposes_matrices() const;
  // Arithmetic beside quantised weights: CPU code for f16 is emulation on most machines.
  mx::Dtype quantised_dtype() const { return is_cpu() ? mx::float32 : mx::float16; }
  // Gives back the buffers that MLX keeps for reuse, unless they shall be kept.
  void end_utterance() const;
  // Streams opened by this process so far; each has a thread.
  static uint64_t n_streams();

 private:
  Device(mx::Stream stream, bool clears_after_utterance)
      : stream_(stream), clears_after_utterance_(clears_after_utterance) {}
  mx::Stream stream_;
  bool clears_after_utterance_;
};

std::vector<DeviceInfo> list_devices();

// Computes arrays, waits for them, and copies one (contiguous, of the type) to the host.
void evaluate(const std::vector<mx::array>& arrays);
void read(const mx::array& evaluated, std::span<float> out);
void read(const mx::array& evaluated, std::span<int32_t> out);

// An array that owns a copy of the values.
mx::array to_array(std::span<const float> values, mx::Shape shape);
mx::array to_array(std::span<const int32_t> values, mx::Shape shape);

}  // namespace csm::mlx_backend
