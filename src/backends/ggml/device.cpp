#include "backends/ggml/device.h"

#include <dlfcn.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <mutex>

#include "base/fail.h"
#include "base/system.h"

namespace csm::ggml {
namespace {

constexpr int kMaxThreads = 256;

// ggml prints to stderr unless told otherwise; errors that matter come back as status codes.
void discard_log(ggml_log_level, const char*, void*) {}

// Where ggml's run-time modules are: in "ggml" beside libggml, as in .deps and in an installed prefix, which may be moved;
// else where the build found them. Explicit, since ggml's own search also looks into the current directory.
std::string module_directory() {
  const char* named = std::getenv("CSM_GGML_MODULES");
  if (named != nullptr && *named != '\0') return named;
  Dl_info library{};
  if (::dladdr(reinterpret_cast<const void*>(&ggml_backend_load_all_from_path), &library) != 0 && library.dli_fname != nullptr) {
    const std::filesystem::path beside = std::filesystem::path(library.dli_fname).parent_path() / "ggml";
    std::error_code error;
    if (std::filesystem::is_directory(beside, error)) return beside.string();
  }
  return CSM_GGML_MODULES;
}

void load_modules() {
  static std::once_flag once;
  std::call_once(once, [] {
    ggml_log_set(discard_log, nullptr);
    if (ggml_backend_dev_count() > 0) return;  // a ggml with its backends linked in
    ggml_backend_load_all_from_path(module_directory().c_str());
  });
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

ggml_backend_dev_t find_device(const std::string& name) {
  load_modules();
  const std::string wanted = lower(name);
  if (wanted == "auto") {
    for (const auto type : {GGML_BACKEND_DEVICE_TYPE_GPU, GGML_BACKEND_DEVICE_TYPE_IGPU, GGML_BACKEND_DEVICE_TYPE_CPU}) {
      if (ggml_backend_dev_t device = ggml_backend_dev_by_type(type)) return device;
    }
    fail(ErrorCode::kNotFound, "ggml has no device at all; its modules were looked for in '{}' (run scripts/setup, or set "
         "CSM_GGML_MODULES to the directory that holds libggml-cpu-*)", module_directory());
  }
  std::string known = "auto";
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    if (lower(ggml_backend_dev_name(device)) == wanted) return device;
    known += std::string(", ") + lower(ggml_backend_dev_name(device));
  }
  fail(ErrorCode::kNotFound, "device '{}' is not there; expected one of {}", name, known);
}

// Seconds that the calling thread has been running.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double wall_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void check(ggml_status status) {
  if (status == GGML_STATUS_SUCCESS) return;
  if (status == GGML_STATUS_ALLOC_FAILED) fail(ErrorCode::kResourceLimit, "out of memory while computing; use a smaller model type or context");
  fail(ErrorCode::kInternal, "ggml could not compute a graph ({})", ggml_status_to_string(status));
}

}  // namespace

ContextPtr make_context(size_t n_tensors) {
  ggml_init_params params{};
  params.mem_size = (n_tensors + 1) * ggml_tensor_overhead();
  params.no_alloc = true;
  ContextPtr context(ggml_init(params));
  if (context == nullptr) fail(ErrorCode::kResourceLimit, "out of memory for the description of {} tensors", n_tensors);
  return context;
}

std::vector<DeviceInfo> list_devices() {
  load_modules();
  std::vector<DeviceInfo> devices;
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    ggml_backend_dev_memory(device, &free_bytes, &total_bytes);
    devices.push_back({lower(ggml_backend_dev_name(device)), ggml_backend_dev_description(device), total_bytes});
  }
  return devices;
}

std::vector<std::string> list_cpu_features() {
  load_modules();
  std::vector<std::string> names;
  ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (device == nullptr) return names;
  const auto features = reinterpret_cast<ggml_backend_get_features_t>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_get_features"));
  if (features == nullptr) return names;
  for (const ggml_backend_feature* feature = features(ggml_backend_dev_backend_reg(device)); feature->name != nullptr; ++feature) {
    const std::string value = feature->value;
    names.push_back(value == "1" ? feature->name : std::string(feature->name) + "=" + value);
  }
  return names;
}

std::shared_ptr<Device> Device::open(const std::string& name, int n_threads) {
  if (n_threads < 0 || n_threads > kMaxThreads) {
    fail(ErrorCode::kInvalidArgument, "threads must be in 0..{} (0 = physical cores); found {}", kMaxThreads, n_threads);
  }
  std::shared_ptr<Device> self(new Device);
  self->device_ = find_device(name);
  self->is_cpu_ = ggml_backend_dev_type(self->device_) == GGML_BACKEND_DEVICE_TYPE_CPU;
  if (self->is_cpu_) {
    self->n_threads_ = n_threads > 0 ? n_threads : n_physical_cores();
    self->alone_ = std::make_unique<ThreadTeam>(self->device_, 1);
    self->team_ = std::make_unique<ThreadTeam>(self->device_, self->n_threads_);
    self->n_setups_ += static_cast<uint64_t>(self->n_threads_);
  } else {
    self->backend_ = ggml_backend_dev_init(self->device_, nullptr);
    if (self->backend_ == nullptr) {
      fail(ErrorCode::kUnsupported, "device '{}' did not start; use --device cpu", lower(ggml_backend_dev_name(self->device_)));
    }
  }
  const auto extra = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(self->device_), "ggml_backend_dev_get_extra_bufts"));
  if (extra != nullptr) {
    for (ggml_backend_buffer_type_t* type = extra(self->device_); type != nullptr && *type != nullptr; ++type) {
      self->repacking_types_.push_back(*type);
    }
  }
  return self;
}

Device::~Device() {
  if (backend_ != nullptr) ggml_backend_free(backend_);
}

ggml_backend_buffer_type_t Device::weight_buffer_type(ggml_type type, int64_t ne0, int64_t ne1) const {
  for (ggml_backend_buffer_type_t candidate : repacking_types_) {
    // ggml tells whether a repacking type serves a weight only by way of a node that uses it.
    const ContextPtr context = make_context(3);
    const BufferPtr empty(ggml_backend_buft_alloc_buffer(candidate, 0));
    ggml_tensor* weight = ggml_new_tensor_2d(context.get(), type, ne0, ne1);
    weight->buffer = empty.get();
    ggml_tensor* product = ggml_mul_mat(context.get(), weight, ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, ne0, 1));
    if (weight->buffer != nullptr && ggml_backend_dev_supports_op(device_, product)) return candidate;
  }
  return buffer_type();
}

BufferPtr Device::allocate(ggml_context* context, ggml_backend_buffer_type_t type, const char* what) {
  BufferPtr buffer(ggml_backend_alloc_ctx_tensors_from_buft(context, type));
  if (buffer == nullptr) {
    size_t n_bytes = 0;
    for (ggml_tensor* t = ggml_get_first_tensor(context); t != nullptr; t = ggml_get_next_tensor(context, t)) n_bytes += ggml_nbytes(t);
    fail(ErrorCode::kResourceLimit, "out of memory: {} needs {:.0f} MB on device '{}'; use a smaller type (--quantize, --kv-type) or context",
         what, static_cast<double>(n_bytes) / 1e6, lower(ggml_backend_dev_name(device_)));
  }
  ggml_backend_buffer_clear(buffer.get(), 0);
  count_setup();
  return buffer;
}

void Device::compute(ggml_cgraph* graph, double n_multiplications) {
  // Below this, starting the team and meeting after every operation costs more than sharing the work saves.
  constexpr double kTeamWork = 6e6;
  if (team_ == nullptr) {
    check(ggml_backend_graph_compute(backend_, graph));
  } else if (n_threads_ == 1 || n_multiplications < kTeamWork || crowd_watch_.crowded(wall_seconds())) {
    check(ggml_backend_graph_compute(alone_->backend(), graph));
  } else {
    compute_with_team(graph);
  }
}

void Device::compute_with_team(ggml_cgraph* graph) {
  const double wall_before = wall_seconds();
  const double cpu_before = thread_seconds();
  check(ggml_backend_graph_compute(team_->backend(), graph));
  const double now = wall_seconds();
  crowd_watch_.observe(now, now - wall_before, thread_seconds() - cpu_before);
}

}  // namespace csm::ggml
