// One line on the terminal that says how far the work is.
//
// Place in the flow: speak and bench draw it; nothing is written when stderr is not a terminal or --quiet was given.
// Main thread.
#pragma once

#include <chrono>
#include <string>

namespace csm::app {

class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const std::string& text);                         // at once
  void speech(double audio_seconds, double elapsed_seconds);  // at most ten times a second
  void clear();

 private:
  bool enabled_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace csm::app
