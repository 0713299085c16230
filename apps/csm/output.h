// Where the program's words go: stdout carries audio or JSON only, everything else is for people and goes to stderr.
//
// Place in the flow: all commands write through here. Main thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace csm::app {

enum ExitCode { kDone = 0, kFailed = 1, kUsage = 2, kInterrupted = 130 };

// Exactly one line, "csm: error: ...", whatever the message holds.
void print_error(const std::string& message);

// A report, summary or hint for people; ends with a line break.
void print_text(const std::string& text);

// Keeps the order in which fields were added: the order in which people read them.
using Json = nlohmann::ordered_json;

// One JSON object, a line for each of its fields and for each object in a list. Errors: kIo.
void print_json(const Json& document);

// A table, page or script that was asked for. Errors: kIo.
void print_stdout(const std::string& text);

// Bytes to stdout, unbuffered. Errors: kIo; kCancelled when a signal arrives while a slow reader makes us wait.
void write_stdout(const void* data, size_t n_bytes);

// Control characters as '?', so that a file name cannot break a line or drive a terminal.
std::string printable(const std::string& text);

// Seconds since 1970 as UTC, in a format of strftime.
std::string utc_text(int64_t unix_seconds, const char* format);

// "384.6 MB".
std::string human_bytes(uint64_t n_bytes);

}  // namespace csm::app
