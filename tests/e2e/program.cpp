#include "program.h"

#include <csm/audio.h>
#include <csm/tensors.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace csm::e2e {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunkBytes = 1 << 16;

struct Pipe {
  int read_end = -1;
  int write_end = -1;

  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    read_end = ends[0];
    write_end = ends[1];
  }
};

void close_if_open(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

// $CSM_PROGRAM runs the same tests against another build, for instance an installed one.
std::string program_path() {
  const char* other = std::getenv("CSM_PROGRAM");
  return other != nullptr ? other : CSM_BUILD_DIR "/csm";
}

// In the child, between fork and exec. Never returns.
[[noreturn]] void become_program(const std::vector<char*>& arguments, const Surroundings& surroundings, int in, int out,
                                 int err) {
  if (!surroundings.output_path.empty()) out = ::open(surroundings.output_path.c_str(), O_WRONLY | O_CREAT, 0644);
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (!surroundings.working_directory.empty() && ::chdir(surroundings.working_directory.c_str()) != 0) ::_exit(126);
  ::setenv("XDG_CONFIG_HOME", "/nonexistent", 1);  // what this machine's user has set shall not matter
  for (const std::string& variable : surroundings.environment) ::putenv(const_cast<char*>(variable.c_str()));
  if (surroundings.max_file_bytes > 0) {
    const rlimit limit{surroundings.max_file_bytes, surroundings.max_file_bytes};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ::execv(arguments.front(), arguments.data());
  ::_exit(127);
}

// Appends what is there; false at the end.
bool read_chunk(int descriptor, std::string& text) {
  char buffer[kChunkBytes];
  const ssize_t n = ::read(descriptor, buffer, sizeof buffer);
  if (n < 0 && errno == EINTR) return true;
  if (n > 0) text.append(buffer, static_cast<size_t>(n));
  return n > 0;
}

}  // namespace

nlohmann::json Outcome::json() const {
  nlohmann::json document = nlohmann::json::parse(out, nullptr, false);
  EXPECT_TRUE(document.is_object()) << "not JSON: " << out << "\nstandard error: " << err;
  return document;
}

Running::Running(const Arguments& arguments, const Surroundings& surroundings) {
  std::vector<std::string> words = {program_path()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  Pipe in, out, err;
  pid_ = ::fork();
  if (pid_ == 0) become_program(pointers, surroundings, in.read_end, out.write_end, err.write_end);
  ::close(in.read_end);
  ::close(out.write_end);
  ::close(err.write_end);
  input_ = in.write_end;
  out_ = out.read_end;
  err_ = err.read_end;
  // Short enough for the pipe's buffer, so this cannot block.
  if (!surroundings.input.empty() && ::write(input_, surroundings.input.data(), surroundings.input.size()) < 0) {
    ADD_FAILURE() << "cannot write standard input: " << std::strerror(errno);
  }
  close_if_open(input_);
}

Running::~Running() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  close_if_open(out_);
  close_if_open(err_);
}

void Running::signal(int number) const { ::kill(pid_, number); }

void Running::read_some_output() { read_chunk(out_, outcome_.out); }

void Running::close_output() { close_if_open(out_); }

Outcome Running::wait() {
  while (out_ >= 0 || err_ >= 0) {
    pollfd ready[2] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};  // poll passes over -1
    if (::poll(ready, 2, -1) < 0) continue;
    if (ready[0].revents != 0 && !read_chunk(out_, outcome_.out)) close_if_open(out_);
    if (ready[1].revents != 0 && !read_chunk(err_, outcome_.err)) close_if_open(err_);
  }
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  outcome_.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome_;
}

Outcome run(const Arguments& arguments, const Surroundings& surroundings) {
  return Running(arguments, surroundings).wait();
}

::testing::AssertionResult fails_with(const Outcome& outcome, int code, const std::string& part) {
  const std::string prefix = "csm: error: ";
  const bool one_line = !outcome.err.empty() && outcome.err.back() == '\n' &&
                        std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1;
  const bool right = outcome.code == code && one_line && outcome.err.compare(0, prefix.size(), prefix) == 0 &&
                     outcome.err.find(part) != std::string::npos && outcome.out.empty();
  if (right) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "expected exit code " << code << " and one line with '" << part
                                       << "', found exit code " << outcome.code << "\nstandard error:\n"
                                       << outcome.err << "standard output: " << outcome.out.size() << " bytes";
}

ProgramTest::ProgramTest() {
  static std::atomic<int> counter{0};
  const auto name = "csm_e2e_" + std::to_string(::getpid()) + "_" + std::to_string(counter++);
  folder_ = (fs::temp_directory_path() / name).string();
  fs::create_directories(folder_);
}

ProgramTest::~ProgramTest() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

std::string ProgramTest::write_file(const std::string& name, const std::string& bytes) const {
  std::ofstream(path(name), std::ios::binary) << bytes;
  return path(name);
}

std::string ProgramTest::write_clip(const std::string& name) const {
  const TensorFile clips = read_tensors(data("audio/clips.safetensors"), {name});
  Audio audio;
  audio.sample_rate_hz = 24'000;
  for (const int32_t sample : std::get<std::vector<int32_t>>(clips.tensors.at(name).values)) {
    audio.samples.push_back(static_cast<float>(sample) / 32768.0f);
  }
  write_audio(path(name + ".wav"), audio, SampleFormat::kInt16);
  return path(name + ".wav");
}

std::vector<std::string> ProgramTest::files() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string data(const std::string& path) { return std::string(CSM_TEST_DATA) + "/" + path; }

std::string demo_model() { return std::string(CSM_MODELS_DIR) + "/demo"; }

}  // namespace csm::e2e
