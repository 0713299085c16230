// What servers may say, and what is refused.
#include <gtest/gtest.h>

#include "hub/api.h"
#include "hub_test.h"

namespace csm {
namespace {

const std::string kCommit(40, 'c');

std::string info_with(const std::string& siblings) {
  return R"({"sha": ")" + kCommit + R"(", "siblings": )" + siblings + "}";
}

TEST(HubApi, FilesWithSizesAndHashes) {
  const std::string sha256(64, 'a');
  const std::string blob(40, 'b');
  const RepoInfo info =
      parse_repo_info(info_with(R"([{"rfilename": "config.json", "size": 12, "blobId": ")" + blob + R"("},
                    {"rfilename": "m.safetensors", "size": 9, "blobId": ")" +
                                blob + R"(",
                     "lfs": {"sha256": ")" +
                                sha256 + R"(", "size": 1000, "pointerSize": 9}},
                    {"rfilename": "sub/x"}])"),
                      "api");
  EXPECT_EQ(info.commit, kCommit);
  ASSERT_EQ(info.files.size(), 3u);
  EXPECT_EQ(info.find("config.json")->n_bytes, 12u);
  EXPECT_EQ(info.find("config.json")->blob_id, blob);
  EXPECT_EQ(info.find("m.safetensors")->n_bytes, 1000u);
  EXPECT_EQ(info.find("m.safetensors")->sha256, sha256);
  EXPECT_FALSE(info.find("sub/x")->n_bytes);
  EXPECT_EQ(info.find("none"), nullptr);
}

TEST(HubApi, HostileAnswersAreRefused) {
  for (const std::string& body :
       {std::string(), std::string("[]"), std::string("{}"), std::string("<html>"), info_with("{}"), info_with("[1]"),
        info_with("[{}]"), info_with(R"([{"rfilename": "../../etc/passwd"}])"), info_with(R"([{"rfilename": "/abs"}])"),
        info_with(R"([{"rfilename": "a\u0000b"}])"), info_with(R"([{"rfilename": "a"}, {"rfilename": "a"}])"),
        info_with(R"([{"rfilename": "a", "size": -1}])"), info_with(R"([{"rfilename": "a", "size": 1e300}])"),
        info_with(R"([{"rfilename": "a", "size": 18446744073709551615}])"),
        std::string(R"({"sha": "../../x", "siblings": []})"), std::string(R"({"sha": 5, "siblings": []})"),
        std::string(200, '[')}) {
    error_of([&] { parse_repo_info(body, "api"); }, ErrorCode::kInvalidData);
  }
}

HttpAnswer answer_with(int status, const std::map<std::string, std::string>& headers) {
  HttpAnswer answer;
  answer.status = status;
  answer.headers = headers;
  return answer;
}

TEST(HubApi, MetadataOfPlainAndLinkedFiles) {
  const FileMetadata plain =
      parse_file_metadata(answer_with(200, {{"etag", "\"abc\""}, {"content-length", "12"}}), "x");
  EXPECT_EQ(plain.etag, "abc");
  EXPECT_EQ(plain.n_bytes, 12u);
  const FileMetadata linked = parse_file_metadata(answer_with(302, {{"etag", "\"pointer\""},
                                                                    {"x-linked-etag", "\"real\""},
                                                                    {"x-linked-size", "5000000000"},
                                                                    {"content-length", "9"}}),
                                                  "x");
  EXPECT_EQ(linked.etag, "real");
  EXPECT_EQ(linked.n_bytes, 5'000'000'000u);
  EXPECT_FALSE(parse_file_metadata(answer_with(302, {{"etag", "a"}, {"content-length", "9"}}), "x").n_bytes);
  for (const auto& headers :
       std::vector<std::map<std::string, std::string>>{{},
                                                       {{"etag", "\"../../x\""}},
                                                       {{"etag", "\"\""}},
                                                       {{"etag", "a"}, {"content-length", "-1"}},
                                                       {{"etag", "a"}, {"content-length", "99999999999999999999"}},
                                                       {{"etag", "a"}, {"content-length", "1x"}}}) {
    error_of([&] { parse_file_metadata(answer_with(200, headers), "x"); }, ErrorCode::kInvalidData);
  }
}

TEST(HubApi, OriginsAreCompared) {
  EXPECT_EQ(url_origin("https://Huggingface.co/a"), url_origin("https://huggingface.co:443/b?c"));
  EXPECT_NE(url_origin("http://127.0.0.1:80/"), url_origin("http://127.0.0.1:81/"));
  EXPECT_NE(url_origin("http://a/"), url_origin("https://a/"));
  EXPECT_NE(url_origin("https://huggingface.co.evil.example/"), url_origin("https://huggingface.co/"));
  EXPECT_NE(url_origin("https://huggingface.co@evil.example/"), url_origin("https://huggingface.co/"));
  for (const char* bad : {"", "file:///etc/passwd", "ftp://a/", "gopher://a", "nonsense"})
    EXPECT_EQ(url_origin(bad), "");
  EXPECT_EQ(public_url("https://a/b?Signature=secret#x"), "https://a/b");
}

}  // namespace
}  // namespace csm
