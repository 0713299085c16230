// What the tests of this folder share: files, and the error that a call must end in.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include <csm/error.h>
#include "io/json.h"

namespace csm {

inline const std::string kData = CSM_TEST_DATA;
inline const std::string kTests = kData + "/../..";

inline nlohmann::json read_json(const std::string& path) { return parse_json_file(path, 1 << 26); }

// The message of the error that action must throw: one line, with this code.
template <typename Action>
std::string message_of(ErrorCode code, Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace csm
