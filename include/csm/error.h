// The one exception type of csm.cpp.
//
// Every bad input, missing file, unsupported model or failed write ends in csm::Error. The message is one line that
// says what failed, where, what was expected, what was found, and what to do. Thread-safe: a value type.
#pragma once

#include <stdexcept>
#include <string>

namespace csm {

enum class ErrorCode {
  kInvalidArgument,  // an option, flag or request that cannot work; the caller must change it
  kNotFound,         // a file, tensor, model or device that is not there
  kInvalidData,      // bytes that are not what they claim to be
  kUnsupported,      // well-formed, but outside what this build can do
  kResourceLimit,    // memory, positions or another bound would be exceeded
  kIo,               // the system refused to read or write
  kCancelled,        // the caller asked to stop
  kInternal,         // a broken promise inside csm.cpp: a bug
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace csm
