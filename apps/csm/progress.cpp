#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "interrupt.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(100);

}  // namespace

Progress::Progress(bool quiet) : enabled_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { clear(); }

void Progress::show(const std::string& text) {
  if (!enabled_) return;
  fmt::print(stderr, "\r\x1b[K{}", printable(text));
  std::fflush(stderr);
  drawn_ = true;
  note_progress_line(true);
}

void Progress::speech(double audio_seconds, double elapsed_seconds) {
  const auto now = std::chrono::steady_clock::now();
  if (!enabled_ || now - last_ < kInterval) return;
  last_ = now;
  show(fmt::format("{:.1f} s of speech, real-time factor {:.2f}", audio_seconds,
                   audio_seconds > 0 ? elapsed_seconds / audio_seconds : 0.0));
}

void Progress::clear() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
  note_progress_line(false);
}

}  // namespace csm::app
