// Runs a fuzz target over files instead of searching for new ones: for compilers without libFuzzer, and for
// regressions. Usage: fuzz_NAME FILE_OR_DIRECTORY...
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes);

namespace {

namespace fs = std::filesystem;

// False when the file cannot be read.
bool replay(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.string().c_str());
    return false;
  }
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  int n_inputs = 0;
  bool all_read = true;
  try {
    for (int i = 1; i < argc; ++i) {
      if (!fs::is_directory(argv[i])) {
        all_read = replay(argv[i]) && all_read;
        ++n_inputs;
        continue;
      }
      for (const fs::directory_entry& entry : fs::recursive_directory_iterator(argv[i])) {
        if (!entry.is_regular_file()) continue;
        all_read = replay(entry.path()) && all_read;
        ++n_inputs;
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "escaped from the target: %s\n", error.what());
    return 1;
  }
  std::printf("%d inputs replayed\n", n_inputs);
  return all_read && n_inputs > 0 ? 0 : 1;
}
