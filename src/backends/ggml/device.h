// One ggml device with our own persistent thread pool: where weights live and graphs run.
//
// Shared by the language model and the codec of an engine, and used on the inference thread only. Nothing of ggml is
// visible outside this folder.
#pragma once

#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <memory>
#include <string>
#include <vector>

#include "backends/ggml/thread_team.h"
#include "model/backend.h"

namespace csm::ggml {

struct ContextDeleter {
  void operator()(ggml_context* context) const { ggml_free(context); }
};
struct BufferDeleter {
  void operator()(ggml_backend_buffer_t buffer) const { ggml_backend_buffer_free(buffer); }
};
struct AllocatorDeleter {
  void operator()(ggml_gallocr_t allocator) const { ggml_gallocr_free(allocator); }
};
using ContextPtr = std::unique_ptr<ggml_context, ContextDeleter>;
using BufferPtr = std::unique_ptr<ggml_backend_buffer, BufferDeleter>;
using AllocatorPtr = std::unique_ptr<ggml_gallocr, AllocatorDeleter>;

// A context that holds the descriptions of up to n_tensors tensors, without data.
ContextPtr make_context(size_t n_tensors);

// Loads ggml's run-time modules once (the CPU variant that suits this machine) and lists the devices.
std::vector<DeviceInfo> list_devices();
std::vector<std::string> list_cpu_features();

class Device {
 public:
  // name: "auto" (a GPU if there is one, else the CPU), "cpu", or a name from list_devices(). n_threads: 0 = physical cores.
  // Errors: kNotFound with the names there are; kInvalidArgument (threads); kUnsupported when the device does not start.
  static std::shared_ptr<Device> open(const std::string& name, int n_threads);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  ggml_backend_t backend() const { return team_ != nullptr ? team_->backend() : backend_; }
  bool is_cpu() const { return is_cpu_; }
  int n_threads() const { return n_threads_; }

  // Memory for activations and state.
  ggml_backend_buffer_type_t buffer_type() const { return ggml_backend_get_default_buffer_type(backend()); }
  // Memory for a weight of this type and shape {ne0 = inner, ne1 = rows}: a repacking type where the device has one for it.
  ggml_backend_buffer_type_t weight_buffer_type(ggml_type type, int64_t ne0, int64_t ne1) const;

  // Allocates all tensors of the context, cleared to zero. Errors: kResourceLimit.
  BufferPtr allocate(ggml_context* context, ggml_backend_buffer_type_t type, const char* what);

  // Runs a graph whose tensors are allocated. n_multiplications tells whether it is large enough for all threads; the result does not
  // depend on how many work. Errors: kResourceLimit, kInternal.
  void compute(ggml_cgraph* graph, double n_multiplications);

  // Graph builds, buffer allocations and thread starts so far.
  uint64_t n_setups() const { return n_setups_; }
  void count_setup() { ++n_setups_; }

 private:
  Device() = default;
  void compute_with_team(ggml_cgraph* graph);

  ggml_backend_dev_t device_ = nullptr;
  ggml_backend_t backend_ = nullptr;      // of a device that is not the CPU
  std::unique_ptr<ThreadTeam> alone_;     // CPU: the calling thread
  std::unique_ptr<ThreadTeam> team_;      // CPU: all threads
  CrowdWatch crowd_watch_;
  std::vector<ggml_backend_buffer_type_t> repacking_types_;
  bool is_cpu_ = false;
  int n_threads_ = 1;
  uint64_t n_setups_ = 0;
};

}  // namespace csm::ggml
