#include "interrupt.h"

#include <csm/error.h>
#include <unistd.h>

#include <csignal>

namespace csm::app {
namespace {

volatile std::sig_atomic_t g_holds = 0;
volatile std::sig_atomic_t g_signal = 0;
volatile std::sig_atomic_t g_progress_line = 0;

void write_line(const char* line, size_t n_bytes) {
  const ssize_t ignored = ::write(STDERR_FILENO, line, n_bytes);
  (void)ignored;
}

extern "C" void handle_signal(int signal) {
  if (g_holds > 0 && g_signal == 0) {
    g_signal = signal;
    return;
  }
  constexpr char kErase[] = "\r\x1b[K";
  constexpr char kLine[] = "csm: error: interrupted\n";
  if (g_progress_line != 0) write_line(kErase, sizeof kErase - 1);
  write_line(kLine, sizeof kLine - 1);
  ::_exit(128 + signal);
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = handle_signal;  // without SA_RESTART: a write to a reader that has stopped must not hold us
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit then is a failed write, reported like a full disk
}

void note_progress_line(bool drawn) { g_progress_line = drawn ? 1 : 0; }

bool interrupted() { return g_signal != 0; }

bool take_interrupt() {
  const bool was = interrupted();
  g_signal = 0;
  return was;
}

void check_interrupt() {
  if (interrupted()) throw Error(ErrorCode::kCancelled, "interrupted");
}

HoldSignals::HoldSignals() { g_holds = g_holds + 1; }
HoldSignals::~HoldSignals() { g_holds = g_holds - 1; }

int interrupt_exit_code() { return 128 + (interrupted() ? static_cast<int>(g_signal) : SIGINT); }

}  // namespace csm::app
