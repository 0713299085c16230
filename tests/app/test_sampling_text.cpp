// Schedules and biases as text: what is read, and what is refused in one line.
#include <csm/error.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "config/fields.h"
#include "config/settings.h"
#include "flags.h"
#include "sampling_text.h"

namespace csm::app {
namespace {

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(SamplingText, ReadsSchedules) {
  const Schedule schedule = parse_schedule("0:0.9,7:0.4,31:0");
  ASSERT_EQ(schedule.size(), 3u);
  EXPECT_EQ(schedule[1].codebook, 7);
  EXPECT_FLOAT_EQ(schedule[1].value, 0.4f);
  EXPECT_EQ(schedule[2].value, 0);
}

TEST(SamplingText, ReadsBiases) {
  const std::vector<LogitBias> biases = parse_logit_bias("12:-3,0@40:2.5,7:-inf");
  ASSERT_EQ(biases.size(), 3u);
  EXPECT_EQ(biases[0].codebook, LogitBias::kAllCodebooks);
  EXPECT_EQ(biases[0].id, 12);
  EXPECT_EQ(biases[1].codebook, 0);
  EXPECT_EQ(biases[1].id, 40);
  EXPECT_FLOAT_EQ(biases[1].value, 2.5f);
  EXPECT_TRUE(std::isinf(biases[2].value));
}

TEST(SamplingText, RefusesWhatIsNeither) {
  for (const char* text : {"", "0.9", "0:", ":1", "a:1", "-1:1", "0:1,", "0:1;1:2", "0:1x", "0: 1", "9999999999:1"}) {
    EXPECT_NE(refusal([&] { (void)parse_schedule(text); }).find("CODEBOOK:VALUE"), std::string::npos) << text;
  }
  for (const char* text : {"", "3", "@3:1", "0@:1", "x@3:1", "3:", "3:one", "0@3@4:1", "3:1,,4:1"}) {
    EXPECT_NE(refusal([&] { (void)parse_logit_bias(text); }).find("ID:VALUE"), std::string::npos) << text;
  }
}

TEST(SamplingText, FieldsRefuseWhatTheLibraryWould) {
  const auto message = [](const char* name, const std::string& value) {
    try {
      checked_value(*find_field(name), value, "WHERE");
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message("temperature-schedule", "0:0.9,7:0.4"), "");
  EXPECT_NE(message("temperature-schedule", "0:0.9,7:-1").find("temperature_schedule is -1"), std::string::npos);
  EXPECT_NE(message("top-k-schedule", "3:5,2:5").find("rising"), std::string::npos);
  EXPECT_NE(message("logit-bias", "3:inf").find("logit_bias"), std::string::npos);
  EXPECT_EQ(message("depth-logit-bias", "3@4:-inf"), "");
}

TEST(SamplingSettings, TheNarrowerAndTheLaterWins) {
  SamplingSettings settings;
  settings.both.temperature_schedule = "0:1,4:0.5";
  EXPECT_EQ(settings.backbone({}).temperature_schedule.size(), 2u);
  EXPECT_EQ(settings.depth_decoder({}).temperature_schedule.size(), 2u);
  settings.depth.temperature = 0.3f;
  EXPECT_TRUE(settings.depth_decoder({}).temperature_schedule.empty()) << "--depth-temperature ends a wider schedule";
  EXPECT_EQ(settings.backbone({}).temperature_schedule.size(), 2u);
  settings.depth.temperature_schedule = "1:0.7";
  EXPECT_EQ(settings.depth_decoder({}).temperature_schedule.size(), 1u);
  settings.greedy = true;
  EXPECT_TRUE(settings.depth_decoder({}).temperature_schedule.empty());
  EXPECT_EQ(settings.depth_decoder({}).temperature, 0);
}

}  // namespace
}  // namespace csm::app
