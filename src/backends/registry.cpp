// Which backends are built in: the only file that asks.
#include "backends/registry.h"

#include <algorithm>
#include <string_view>

#include "base/fail.h"

#ifdef CSM_HAVE_GGML
#include "backends/ggml/ggml_backend.h"
#include "backends/ggml/write_rows.h"
#endif
#ifdef CSM_HAVE_MLX
#include "backends/mlx/mlx_backend.h"
#endif

namespace csm {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Backend> (*make)();
};

#if defined(__APPLE__) && defined(__aarch64__)
constexpr const char* kPreferred = "mlx";
#else
constexpr const char* kPreferred = "ggml";
#endif

std::vector<Entry> sorted_entries() {
  std::vector<Entry> all = {
#ifdef CSM_HAVE_GGML
      {"ggml", make_ggml_backend},
#endif
#ifdef CSM_HAVE_MLX
      {"mlx", make_mlx_backend},
#endif
  };
  std::stable_partition(all.begin(), all.end(),
                        [](const Entry& entry) { return std::string_view(entry.name) == kPreferred; });
  return all;
}

// In order of preference.
const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = sorted_entries();
  return all;
}

}  // namespace

std::vector<std::string> backend_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries()) names.push_back(entry.name);
  return names;
}

std::unique_ptr<Backend> make_backend(const std::string& name) {
  if (entries().empty()) {
    fail(ErrorCode::kUnsupported, "this build of csm has no backend; configure it with -DCSM_GGML=ON or -DCSM_MLX=ON");
  }
  if (name == "auto") return entries().front().make();
  for (const Entry& entry : entries()) {
    if (name == entry.name) return entry.make();
  }
  fail(ErrorCode::kInvalidArgument, "there is no backend '{}'; expected auto or one of {}", name,
       fmt::join(backend_names(), ", "));
}

void convert_rows([[maybe_unused]] DType type, [[maybe_unused]] const float* rows, [[maybe_unused]] std::byte* out,
                  [[maybe_unused]] int64_t n_rows, [[maybe_unused]] int64_t n) {
#ifdef CSM_HAVE_GGML
  ggml::write_rows(type, rows, out, n_rows, n);
#else
  fail(ErrorCode::kUnsupported, "this build of csm has no ggml, which conversion to GGUF needs; configure it with -DCSM_GGML=ON");
#endif
}

}  // namespace csm
