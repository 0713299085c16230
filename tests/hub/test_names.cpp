// Names become parts of paths and URLs: what may pass, and what must not.
#include <gtest/gtest.h>

#include "hub/names.h"

namespace csm {
namespace {

TEST(HubNames, RepositoryFileAndRevisionAreTakenApart) {
  const auto plain = parse_hub_name("sesame/csm-1b");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->repo, "sesame/csm-1b");
  EXPECT_EQ(plain->file, "");
  EXPECT_EQ(revision_of(*plain), "main");
  const auto full = parse_hub_name("a/b.c_d/sub/model-q8_0.gguf@refs/pr/1");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->repo, "a/b.c_d");
  EXPECT_EQ(full->file, "sub/model-q8_0.gguf");
  EXPECT_EQ(full->revision, "refs/pr/1");
  EXPECT_EQ(full->text(), "a/b.c_d/sub/model-q8_0.gguf@refs/pr/1");
}

TEST(HubNames, ShortNamesStandForRepositories) {
  const auto known = parse_hub_name("csm-1b@v1");
  ASSERT_TRUE(known);
  EXPECT_EQ(known->repo, "sesame/csm-1b");
  EXPECT_EQ(known->revision, "v1");
  for (const KnownModel& model : known_models()) {
    EXPECT_TRUE(is_repo_name(model.repo)) << model.repo;
    EXPECT_EQ(parse_hub_name(model.short_name)->repo, model.repo);
  }
  EXPECT_FALSE(parse_hub_name("csm-2b"));
}

TEST(HubNames, PathsAreNotNames) {
  for (const char* text :
       {"",     "name",    "/etc/passwd", "./a/b",    "../a",   "a/..",     "a/../b",     "a//b",   "/a/b",
        "a/b/", "~/a",     "a/b@",        "a/b@../x", "a/b@-x", "a b/c",    "a/b\n",      "a--b/c", "a/b/../../c",
        "a/.b", "a/b@x y", "a/b@/x",      "a/b@x//y", "a/b@.x", "a/b@x/.y", "http://a/b", "a/b?x",  "a/b\\c"}) {
    EXPECT_FALSE(parse_hub_name(text)) << text;
  }
  EXPECT_FALSE(parse_hub_name(std::string(200, 'a') + "/b"));
}

TEST(HubNames, FilesStayInTheirRepository) {
  for (const char* good :
       {"config.json", "sub/dir/x.bin", ".gitattributes", "a..b", "prompts/read speech.wav", "x:y"}) {
    EXPECT_TRUE(is_repo_file(good)) << good;
  }
  for (const char* bad : {"", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "a/./b", "a\\b", "a\nb"}) {
    EXPECT_FALSE(is_repo_file(bad)) << bad;
  }
  EXPECT_FALSE(is_repo_file(std::string("a\0b", 3)));
  EXPECT_FALSE(is_repo_file(std::string(300, 'x')));
}

TEST(HubNames, EtagsBecomeFileNames) {
  EXPECT_EQ(plain_etag("\"abc\""), "abc");
  EXPECT_EQ(plain_etag("W/\"abc\""), "abc");
  EXPECT_EQ(plain_etag("abc"), "abc");
  EXPECT_TRUE(is_etag(std::string(64, 'a')));
  for (const char* bad : {"", ".", "..", ".x", "a/b", "../x", "a b", "a\n"}) EXPECT_FALSE(is_etag(bad)) << bad;
  EXPECT_FALSE(is_etag(std::string(200, 'a')));
}

TEST(HubNames, UrlsAreEncoded) {
  EXPECT_EQ(url_path("a/b c%#?.json"), "a/b%20c%25%23%3F.json");
  EXPECT_EQ(url_part("refs/pr/1"), "refs%2Fpr%2F1");
  EXPECT_EQ(url_part("\xC3\xA9"), "%C3%A9");
}

TEST(HubNames, NearNamesAreSuggested) {
  EXPECT_EQ(did_you_mean("sesame/csm1b", {"kyutai/mimi", "sesame/csm-1b"}), "; did you mean 'sesame/csm-1b'?");
  EXPECT_EQ(did_you_mean("something/else", {"kyutai/mimi"}), "");
}

}  // namespace
}  // namespace csm
