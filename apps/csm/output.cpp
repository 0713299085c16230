#include "output.h"

#include <csm/error.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "interrupt.h"

namespace csm::app {
namespace {

void write_stderr(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

// File names need not be UTF-8; the document must be.
std::string dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string dump_field(const Json& value) {
  if (!value.is_array() || value.empty() || !value.front().is_object()) return dump(value);
  std::string text = "[";
  for (const Json& item : value) text += (text.size() > 1 ? ",\n    " : "\n    ") + dump(item);
  return text + "]";
}

}  // namespace

std::string printable(const std::string& text) {
  std::string line = text;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = c == '\n' ? ' ' : '?';
  }
  return line;
}

void print_error(const std::string& message) { write_stderr("csm: error: " + printable(message) + "\n"); }

void print_text(const std::string& text) {
  const bool ended = !text.empty() && text.back() == '\n';
  write_stderr(ended ? text : text + "\n");
}

void print_json(const Json& document) {
  std::string text = "{";
  const char* separator = "\n  ";
  for (const auto& [name, value] : document.items()) {
    text += separator + dump(name) + ": " + dump_field(value);
    separator = ",\n  ";
  }
  text += "\n}\n";
  write_stdout(text.data(), text.size());
}

void print_stdout(const std::string& text) { write_stdout(text.data(), text.size()); }

void write_stdout(const void* data, size_t n_bytes) {
  const char* next = static_cast<const char*>(data);
  while (n_bytes > 0) {
    const ssize_t n = ::write(STDOUT_FILENO, next, n_bytes);
    if (n < 0 && errno == EINTR) {
      check_interrupt();
      continue;
    }
    if (n < 0) throw Error(ErrorCode::kIo, fmt::format("cannot write to standard output: {}", std::strerror(errno)));
    next += n;
    n_bytes -= static_cast<size_t>(n);
  }
}

std::string utc_text(int64_t unix_seconds, const char* format) {
  const auto time = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  char text[64] = "";
  if (::gmtime_r(&time, &parts) != nullptr) std::strftime(text, sizeof text, format, &parts);
  return text;
}

std::string human_bytes(uint64_t n_bytes) {
  const auto value = static_cast<double>(n_bytes);
  if (n_bytes >= 1'000'000'000) return fmt::format("{:.2f} GB", value / 1e9);
  if (n_bytes >= 1'000'000) return fmt::format("{:.1f} MB", value / 1e6);
  if (n_bytes >= 1'000) return fmt::format("{:.1f} kB", value / 1e3);
  return fmt::format("{} bytes", n_bytes);
}

}  // namespace csm::app
