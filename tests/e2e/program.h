// Runs the real program as a user would: arguments in; standard output, standard error and exit code out.
//
// Place in the flow: the end-to-end tests stand on this alone. Each test has a folder of its own, removed at its end.
#pragma once

#include <gtest/gtest.h>

#include <sys/types.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace csm::e2e {

using Arguments = std::vector<std::string>;

struct Outcome {
  int code = -1;  // the exit code; 128 + signal when a signal killed the program
  std::string out;
  std::string err;

  nlohmann::json json() const;  // of standard output; a test failure when it is none
};

struct Surroundings {
  std::string input;        // standard input
  std::string output_path;  // standard output goes to this file or device instead of Outcome::out
  std::string working_directory;
  std::vector<std::string> environment;  // "NAME=value", added
  uint64_t max_file_bytes = 0;           // 0 = no limit; a full disk for everything that is written
};

// A program that is running: for signals. Its standard output is not read until wait().
class Running {
 public:
  Running(const Arguments& arguments, const Surroundings& surroundings = {});
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void signal(int number) const;
  void read_some_output();  // blocks until there is some
  void close_output();      // as a reader that goes away
  Outcome wait();

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  int input_ = -1;
  Outcome outcome_;
};

Outcome run(const Arguments& arguments, const Surroundings& surroundings = {});

// Exit code, and exactly one line on standard error that begins with "csm: error: " and holds `part`; nothing on
// standard output.
::testing::AssertionResult fails_with(const Outcome& outcome, int code, const std::string& part = "");

class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest();
  ~ProgramTest() override;

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string write_file(const std::string& name, const std::string& bytes) const;
  // A golden clip (tests/golden/data/audio/clips.safetensors) as a WAV file.
  std::string write_clip(const std::string& name) const;
  std::vector<std::string> files() const;  // names in the test's folder, sorted: nothing may be left over

 private:
  std::string folder_;
};

std::string read_file(const std::string& path);
std::string data(const std::string& path);  // in tests/golden/data
std::string demo_model();

}  // namespace csm::e2e
