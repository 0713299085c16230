// The program `csm`: runs what the command line says, turns errors into one line and an exit code.
#include <csm/error.h>

#include <new>

#include "flags.h"
#include "interrupt.h"
#include "output.h"
#include "program.h"

namespace csm::app {
namespace {

int report_error(const std::exception& error) {
  const auto* known = dynamic_cast<const Error*>(&error);
  if (interrupted() || (known != nullptr && known->code() == ErrorCode::kCancelled)) {
    print_error("interrupted");
    return interrupt_exit_code();
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    print_error("out of memory; try a smaller model, --quantize q8_0 or a shorter context");
    return kFailed;
  }
  print_error(error.what());
  return dynamic_cast<const UsageError*>(&error) != nullptr ? kUsage : kFailed;
}

}  // namespace
}  // namespace csm::app

int main(int argc, char** argv) {
  csm::app::install_signal_handlers();
  try {
    return csm::app::Program().run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    return csm::app::report_error(error);
  }
}
