// What the system tells about this machine, held against what can be known of it in another way.
#include "base/system.h"

#include <gtest/gtest.h>

#include <csm/error.h>

#include <cstring>
#include <thread>
#include <vector>

#include "base/fail.h"

#ifdef __linux__
#include <sched.h>
#endif

namespace csm {
namespace {

TEST(System, Cores) {
  EXPECT_GE(n_physical_cores(), 1);
  EXPECT_GE(n_logical_cores(), n_physical_cores());
  const unsigned known = std::thread::hardware_concurrency();
  if (known > 0) EXPECT_LE(n_logical_cores(), static_cast<int>(known));
}

#ifdef __linux__
TEST(System, CoresFollowTheAffinity) {
  std::thread([] {  // the mask is the thread's own, so that other tests keep theirs
    cpu_set_t before;
    CPU_ZERO(&before);
    ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
    int first = 0;
    while (!CPU_ISSET(first, &before)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(n_logical_cores(), 1);
    EXPECT_EQ(n_physical_cores(), 1);
  })
      .join();
}
#endif

TEST(System, PeakMemoryGrowsWithWhatIsTouched) {
  const uint64_t before = peak_memory_bytes();
  ASSERT_GT(before, 0u);
  constexpr size_t kBytes = 64u << 20;
  std::vector<char> block(kBytes);
  std::memset(block.data(), 1, block.size());
  EXPECT_EQ(block[kBytes / 2], 1);
  EXPECT_GE(peak_memory_bytes(), before);
  EXPECT_GE(peak_memory_bytes(), kBytes);
}

TEST(System, TotalMemoryHoldsThisProcess) { EXPECT_GE(total_memory_bytes(), peak_memory_bytes()); }

TEST(System, OperatingSystemIsOneLine) {
  const std::string name = operating_system();
  EXPECT_FALSE(name.empty());
  EXPECT_EQ(name.find('\n'), std::string::npos);
}

TEST(Fail, ThrowsTheCodeAndTheText) {
  try {
    fail(ErrorCode::kResourceLimit, "{} of {}", 3, "four");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResourceLimit);
    EXPECT_STREQ(error.what(), "3 of four");
    return;
  }
}

}  // namespace
}  // namespace csm
