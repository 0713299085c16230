// Servers that refuse, break, lie or are slow. Nothing of it may end up in the cache as if it were whole.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "hub_test.h"

namespace csm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kCheckpoint = "ckpt/csm-tiny-f/hf-f32";  // weights of 423 kB

class FailureTest : public HubTest {
 protected:
  FailureTest() { publish("tiny/nano", kCheckpoint); }

  PulledModel pull(const HubOptions& with) const { return pull_model({"tiny/nano", "", ""}, with, {}); }
  PulledModel pull() const { return pull(options()); }

  // The model is whole and as it was published.
  void expect_whole(const PulledModel& model) const {
    for (const char* file : {"config.json", "model.safetensors", "tokenizer.json"}) {
      EXPECT_TRUE(read_bytes(model.path + "/" + file) ==
                  read_bytes(std::string(CSM_TEST_DATA) + "/" + kCheckpoint + "/" + file))
          << file;
    }
  }

  void expect_no_weights() const {
    for (const auto& entry : fs::recursive_directory_iterator(cache())) {
      EXPECT_NE(entry.path().filename(), "model.safetensors");
      EXPECT_NE(entry.path().filename(), "main") << "the revision would stand for an unfinished model";
    }
  }
};

TEST_F(FailureTest, GatedModelSaysWhatToDo) {
  set_model("tiny/nano", {{"gated", true}, {"token", "hf_right"}});
  std::string what = error_of([&] { pull(); }, ErrorCode::kNotFound);
  EXPECT_NE(what.find(endpoint() + "/tiny/nano"), std::string::npos) << what;
  EXPECT_NE(what.find("HF_TOKEN"), std::string::npos) << what;
  EXPECT_NE(what.find(path("token")), std::string::npos) << what;
  HubOptions with = options();
  with.token = "hf_wrong";
  what = error_of([&] { pull(with); }, ErrorCode::kNotFound);
  EXPECT_NE(what.find("no access"), std::string::npos) << what;
  EXPECT_EQ(what.find("hf_wrong"), std::string::npos) << what;
  with.token = "hf_right";
  expect_whole(pull(with));
}

TEST_F(FailureTest, TokenGoesToTheHubAlone) {
  set_model("tiny/nano", {{"private", true}, {"token", "hf_right"}});
  HubOptions with = options();
  with.token = "hf_right";
  set_rules(Json::array());
  expect_whole(pull(with));
  int n_cdn = 0;
  for (const Request& request : requests()) {
    const bool is_cdn = request.line.find(" cdn ") != std::string::npos;
    n_cdn += is_cdn ? 1 : 0;
    EXPECT_EQ(request.authorization, is_cdn ? "" : "Bearer hf_right") << request.line;
  }
  EXPECT_GT(n_cdn, 0);
}

TEST_F(FailureTest, UnknownModel) {
  const std::string what = error_of([&] { pull_model({"sesame/csm1b", "", ""}, options(), {}); }, ErrorCode::kNotFound);
  EXPECT_NE(what.find("did you mean 'sesame/csm-1b'"), std::string::npos) << what;
}

TEST_F(FailureTest, WrongTokenIsSaid) {
  set_rules({{{"match", "."}, {"status", 401}, {"headers", {{"X-Error-Message", "Invalid credentials"}}}}});
  HubOptions with = options();
  with.token = "hf_old";
  const std::string what = error_of([&] { pull(with); }, ErrorCode::kNotFound);
  EXPECT_NE(what.find("does not accept the token"), std::string::npos) << what;
  set_rules({{{"match", "."}, {"status", 403}}});
  error_of([&] { pull(with); }, ErrorCode::kNotFound);
}

TEST_F(FailureTest, PassingFailuresAreTriedAgain) {
  set_rules(
      {{{"match", "/api/models"}, {"status", 500}, {"times", 2}},
       {{"match", "HEAD hub .*config.json"}, {"status", 502}, {"times", 1}},
       {{"match", "GET cdn"}, {"status", 503}, {"times", 2}},
       {{"match", "GET hub .*tokenizer.json"}, {"status", 429}, {"times", 1}, {"headers", {{"Retry-After", "1"}}}}});
  const auto begin = std::chrono::steady_clock::now();
  expect_whole(pull());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1)) << "Retry-After is honoured";
}

TEST_F(FailureTest, LastingFailuresEnd) {
  for (const int status : {500, 503, 429, 418}) {
    set_rules({{{"match", "/api/models"}, {"status", status}}});
    const std::string what = error_of([&] { pull(); }, ErrorCode::kIo);
    EXPECT_NE(what.find(std::to_string(status)), std::string::npos) << what;
    EXPECT_EQ(requests().size(), status == 418 ? 1u : 4u);
  }
  set_rules({{{"match", "/api/models"}, {"status", 429}, {"headers", {{"Retry-After", "3600"}}}}});
  const std::string what = error_of([&] { pull(); }, ErrorCode::kIo);
  EXPECT_NE(what.find("3600 s"), std::string::npos) << what;
  EXPECT_EQ(requests().size(), 1u);
}

TEST_F(FailureTest, BrokenConnectionsGoOnWhereTheyBroke) {
  set_rules({{{"match", "GET cdn"}, {"cut", 100'000}, {"times", 3}}});
  expect_whole(pull());
  std::vector<std::string> ranges;
  for (const Request& request : requests()) {
    if (request.line.find("GET cdn") == 0) ranges.push_back(request.range);
  }
  ASSERT_EQ(ranges.size(), 4u);
  EXPECT_EQ(ranges[0], "");
  EXPECT_EQ(ranges[1], "bytes=100000-");
  EXPECT_EQ(ranges[3], "bytes=300000-");
}

TEST_F(FailureTest, ServerWithoutRanges) {
  set_rules({{{"match", "GET cdn"}, {"cut", 100'000}, {"times", 1}}, {{"match", "GET cdn"}, {"no_range", true}}});
  expect_whole(pull());
}

TEST_F(FailureTest, ServerThatAlwaysBreaksEnds) {
  set_rules({{{"match", "GET cdn"}, {"cut", 1000}, {"no_range", true}}});
  error_of([&] { pull(); }, ErrorCode::kIo);
  expect_no_weights();
}

TEST_F(FailureTest, ServerThatStandsStill) {
  HubOptions impatient = options();
  impatient.stall_timeout_s = 1;
  impatient.n_attempts = 2;
  set_rules({{{"match", "GET cdn"}, {"stall", 30}}});
  const std::string what = error_of([&] { pull(impatient); }, ErrorCode::kIo);
  EXPECT_NE(what.find("cannot fetch"), std::string::npos) << what;
  set_rules({{{"match", "GET cdn"}, {"stall", 30}, {"times", 1}}});
  expect_whole(pull(impatient));
}

TEST_F(FailureTest, WrongBytesAreNotKept) {
  set_rules({{{"match", "GET cdn"}, {"corrupt", true}}});
  std::string what = error_of([&] { pull(); }, ErrorCode::kInvalidData);
  EXPECT_NE(what.find("SHA-256"), std::string::npos) << what;
  expect_no_weights();
  set_rules({{{"match", "GET hub /api/resolve-cache.*config.json"}, {"corrupt", true}}});
  fs::remove_all(cache());
  what = error_of([&] { pull(); }, ErrorCode::kInvalidData);
  EXPECT_NE(what.find("with hash"), std::string::npos) << what;
  // Once is an accident.
  set_rules({{{"match", "GET cdn"}, {"corrupt", true}, {"times", 1}}});
  expect_whole(pull());
}

TEST_F(FailureTest, LeftoverOfAnotherFileIsNoticed) {
  expect_whole(pull());
  const std::string blob =
      fs::canonical(cache() + "/models--tiny--nano/snapshots/" + pull().commit + "/model.safetensors");
  fs::rename(blob, blob + ".incomplete");
  {
    std::FILE* file = std::fopen((blob + ".incomplete").c_str(), "r+b");
    std::fputc('X', file);
    std::fclose(file);
  }
  expect_whole(pull());
}

TEST_F(FailureTest, SizesThatDisagree) {
  set_rules({{{"match", "GET cdn"}, {"status", 200}, {"body", "short"}}});
  error_of([&] { pull(); }, ErrorCode::kIo);
  expect_no_weights();
  set_rules({{{"match", "GET cdn"}, {"status", 200}, {"body", std::string(2'000'000, 'x')}}});
  error_of([&] { pull(); }, ErrorCode::kInvalidData);
  expect_no_weights();
}

TEST_F(FailureTest, RangeThatIsAnother) {
  set_rules(
      {{{"match", "GET cdn"}, {"cut", 1000}, {"times", 1}},
       {{"match", "GET cdn"}, {"status", 206}, {"headers", {{"Content-Range", "bytes 5-9/10"}}}, {"body", "abcde"}}});
  error_of([&] { pull(); }, ErrorCode::kIo);
  set_rules(Json::array());
  expect_whole(pull());
}

TEST_F(FailureTest, RedirectsThatLeadNowhere) {
  for (const char* target : {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "", "http://"}) {
    set_rules({{{"match", "GET hub .*resolve"}, {"status", 302}, {"headers", {{"Location", target}}}}});
    error_of([&] { pull(); }, ErrorCode::kIo);
  }
  set_rules({{{"match", "GET hub .*resolve"}, {"status", 302}, {"headers", {{"Location", "/tiny/nano/resolve/x"}}}}});
  const std::string what = error_of([&] { pull(); }, ErrorCode::kIo);
  EXPECT_NE(what.find("redirects"), std::string::npos) << what;
}

TEST_F(FailureTest, SignedAddressesAreNotShown) {
  set_rules({{{"match", "GET cdn"}, {"status", 403}, {"body", "expired"}}});
  const std::string what = error_of([&] { pull(); }, ErrorCode::kNotFound);
  EXPECT_EQ(what.find("signature"), std::string::npos) << what;
}

TEST_F(FailureTest, AnswersThatAreTooLongOrNoHub) {
  set_rules({{{"match", "/api/models"}, {"status", 200}, {"body", "<html>proxy</html>"}}});
  error_of([&] { pull(); }, ErrorCode::kInvalidData);
  set_rules({{{"match", "HEAD hub"}, {"status", 200}}});
  error_of([&] { pull(); }, ErrorCode::kInvalidData);
  HubOptions nobody = options();
  nobody.endpoint = "http://127.0.0.1:1";
  const std::string what = error_of([&] { pull(nobody); }, ErrorCode::kIo);
  EXPECT_NE(what.find("HF_HUB_OFFLINE"), std::string::npos) << what;
}

}  // namespace
}  // namespace csm
