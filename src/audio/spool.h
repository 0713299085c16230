// Samples that must be read again: in memory while they are few, then in a temporary file without a name.
//
// Place in the flow: Leveller keeps the whole sound here. The file goes to $TMPDIR, else /tmp, and vanishes with the
// process whatever becomes of it. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace csm {

class Spool {
 public:
  Spool() = default;
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  void push(std::span<const float> samples);  // Errors: kIo
  // All samples in order, in blocks; as often as wanted.
  void read(const std::function<void(std::span<const float>)>& use);
  int64_t n_samples() const { return n_samples_; }
  bool in_file() const { return descriptor_ >= 0; }

  static constexpr size_t kMemorySamples = size_t{1} << 20;  // 4 MiB, 44 seconds at 24 kHz

 private:
  void open_file();
  void flush();

  std::vector<float> recent_;  // what is not in the file
  int descriptor_ = -1;
  int64_t n_samples_ = 0;
};

}  // namespace csm
