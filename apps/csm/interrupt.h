// Ctrl-C. While nothing is at stake a signal ends the program at once; while a HoldSignals lives, the first one only
// asks, so that speech stops after its frame and no temporary file is left, and a second one ends the program at once.
//
// Place in the flow: installed by main, held by speak and by every write of a file. Main thread but for the handler.
#pragma once

namespace csm::app {

// SIGINT and SIGTERM as above; SIGPIPE ends the program quietly even where the parent had it ignored.
void install_signal_handlers();

// Tells the handler that the cursor stands at the end of a progress line, which its own line must replace.
void note_progress_line(bool drawn);

bool interrupted();

// As interrupted(), and the next signal counts as the first again: what was to stop has stopped, and the program goes on.
bool take_interrupt();

// Throws csm::Error kCancelled once a signal has arrived.
void check_interrupt();

class HoldSignals {
 public:
  HoldSignals();
  ~HoldSignals();
  HoldSignals(const HoldSignals&) = delete;
  HoldSignals& operator=(const HoldSignals&) = delete;
};

// The exit code of a program that a signal stopped: 130 for SIGINT.
int interrupt_exit_code();

}  // namespace csm::app
