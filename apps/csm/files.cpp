#include "files.h"

#include <csm/error.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "flags.h"
#include "interrupt.h"
#include "output.h"

namespace csm::app {

template <typename T>
const std::vector<T>& need_tensor(const TensorFile& file, const std::string& path, const std::string& name,
                                  const char* type, const char* shape, size_t rank) {
  const auto it = file.tensors.find(name);
  const auto* values = it == file.tensors.end() ? nullptr : std::get_if<std::vector<T>>(&it->second.values);
  if (values == nullptr || it->second.shape.size() != rank) {
    std::vector<std::string> contents = file.contents;  // what looks like it first: there may be many
    std::stable_partition(contents.begin(), contents.end(),
                          [&](const std::string& tensor) { return tensor.find(name) != std::string::npos; });
    std::string found = fmt::format("{}", fmt::join(contents, ", "));
    if (found.size() > 300) found = found.substr(0, 300) + "...";
    throw Error(ErrorCode::kInvalidData, fmt::format("'{}': expected a tensor '{}' of type {} {}; found {}", path, name,
                                                     type, shape, found.empty() ? "no tensors" : found));
  }
  return *values;
}

template const std::vector<float>& need_tensor<float>(const TensorFile&, const std::string&, const std::string&,
                                                      const char*, const char*, size_t);
template const std::vector<int32_t>& need_tensor<int32_t>(const TensorFile&, const std::string&, const std::string&,
                                                          const char*, const char*, size_t);
template const std::vector<uint8_t>& need_tensor<uint8_t>(const TensorFile&, const std::string&, const std::string&,
                                                          const char*, const char*, size_t);

namespace {

// Columns of a table that has at least one, and few enough to count in an int.
int column_count(const TensorFile& file, const std::string& path, const std::string& name, int least) {
  const int64_t n_rows = file.tensors.at(name).shape[0];
  const int64_t n_columns = file.tensors.at(name).shape[1];
  if (n_rows < 1 || n_columns < least || n_columns > 1'000'000) {
    throw Error(ErrorCode::kInvalidData,
                fmt::format("'{}': tensor '{}' is [{}, {}]; expected at least one row and {} columns", path, name,
                            n_rows, n_columns, least));
  }
  return static_cast<int>(n_columns);
}

}  // namespace

Codes read_codes(const std::string& path) {
  const TensorFile file = read_tensors(path, {"codes"});
  Codes codes;
  codes.ids = need_tensor<int32_t>(file, path, "codes", "int32", "[n_frames, n_codebooks]", 2);
  codes.n_codebooks = column_count(file, path, "codes", 1);
  return codes;
}

Tensor codes_tensor(const Codes& codes) { return {{codes.n_frames(), codes.n_codebooks}, codes.ids}; }

Prompt read_prompt(const std::string& path) {
  constexpr const char* kShape = "[n_positions, n_codebooks + 1]";
  const TensorFile file = read_tensors(path, {"frames", "mask"});
  Prompt prompt;
  prompt.frames = need_tensor<int32_t>(file, path, "frames", "int32", kShape, 2);
  prompt.mask = need_tensor<uint8_t>(file, path, "mask", "uint8", kShape, 2);
  prompt.n_columns = column_count(file, path, "frames", 2);
  if (file.tensors.at("frames").shape != file.tensors.at("mask").shape) {
    throw Error(ErrorCode::kInvalidData, fmt::format("'{}': frames and mask must have the same shape; found {}", path,
                                                     fmt::join(file.contents, ", ")));
  }
  return prompt;
}

TensorFile prompt_file(const Prompt& prompt) {
  const std::vector<int64_t> shape = {prompt.n_positions(), prompt.n_columns};
  TensorFile file;
  file.tensors["frames"] = {shape, prompt.frames};
  file.tensors["mask"] = {shape, prompt.mask};
  return file;
}

void write_tensor_file(const std::string& path, const TensorFile& file) {
  const HoldSignals held;
  write_tensors(path, file);
}

namespace {

// A symbolic link stays one: what it points to is replaced.
std::string real_target(const std::string& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::weakly_canonical(path, error);
  return error ? path : target.string();
}

[[noreturn]] void fail_to_write(const std::string& path) {
  throw Error(ErrorCode::kIo, fmt::format("cannot write '{}': {}", path, std::strerror(errno)));
}

bool write_all(int file, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(file, text.data() + done, text.size() - done);
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) done += static_cast<size_t>(n);
  }
  return ::fsync(file) == 0;
}

}  // namespace

void write_text_file(const std::string& path, const std::string& text) {
  std::error_code error;
  const std::string target = real_target(path);
  if (std::filesystem::is_directory(target, error)) {
    throw Error(ErrorCode::kIo, fmt::format("cannot write '{}': it is a directory", path));
  }
  std::filesystem::create_directories(std::filesystem::path(target).parent_path(), error);
  const HoldSignals held;
  std::string temporary = target + ".XXXXXX";
  const int file = ::mkstemp(temporary.data());
  if (file < 0) fail_to_write(path);
  const bool written = write_all(file, text) && ::fchmod(file, 0644) == 0;
  const int reason = errno;
  ::close(file);
  if (written && ::rename(temporary.c_str(), target.c_str()) == 0) return;
  if (!written) errno = reason;
  const int kept = errno;
  ::unlink(temporary.c_str());
  errno = kept;
  fail_to_write(path);
}

void write_audio_file(const std::string& path, const Audio& audio, SampleFormat format) {
  if (path == "-") {
    const std::string bytes = wav_stream_header(audio.sample_rate_hz, format) +
                              wav_sample_bytes(audio.samples.data(), audio.samples.size(), format);
    write_stdout(bytes.data(), bytes.size());
    return;
  }
  const HoldSignals held;
  write_audio(path, audio, format);
}

void check_audio_on_stdout(const std::string& path) {
  if (path == "-" && ::isatty(STDOUT_FILENO) == 1) {
    throw UsageError("-o - writes a WAV to standard output, which is a terminal here; send it to a program or a file");
  }
}

void check_output_folder(const std::string& path) {
  if (path.empty() || path == "-") return;
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    throw Error(ErrorCode::kIo, fmt::format("cannot write '{}': it is a directory", path));
  }
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder, error)) {
    throw Error(ErrorCode::kIo, fmt::format("cannot write '{}': there is no directory '{}'", path, folder.string()));
  }
}

}  // namespace csm::app
