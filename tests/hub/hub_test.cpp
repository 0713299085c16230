#include "hub_test.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "hub/http.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

// hub_server.py with a folder of models. It reads our end of a pipe and ends with us, however we end.
class Server {
 public:
  Server() : root_(fs::temp_directory_path() / ("csm_hub_" + std::to_string(::getpid()))) {
    fs::create_directories(root_);
    ::setenv("no_proxy", "127.0.0.1", 1);  // for us and for the programs we start
    int to_server[2];
    int from_server[2];
    if (::pipe2(to_server, O_CLOEXEC) != 0 || ::pipe2(from_server, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(to_server[0], STDIN_FILENO);
      ::dup2(from_server[1], STDOUT_FILENO);
      ::execl(CSM_PYTHON, CSM_PYTHON, CSM_HUB_TESTS "/hub_server.py", root_.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(to_server[0]);
    ::close(from_server[1]);
    std::string line;
    for (char c = 0; ::read(from_server[0], &c, 1) == 1 && c != '\n';) line += c;
    ::close(from_server[0]);
    hub_port_ = nlohmann::json::parse(line).at("hub").get<int>();
  }

  ~Server() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  const fs::path& root() const { return root_; }
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(hub_port_); }

 private:
  fs::path root_;
  pid_t pid_ = -1;
  int hub_port_ = 0;
};

size_t ignore(char*, size_t size, size_t n, void*) { return size * n; }

Server& server() {
  static Server instance;
  return instance;
}

}  // namespace

HubTest::HubTest() {
  static std::atomic<int> counter{0};
  folder_ = server().root().string() + "_test_" + std::to_string(counter++);
  fs::create_directories(folder_);
  for (const auto& entry : fs::directory_iterator(server().root())) fs::remove_all(entry.path());
  set_rules(nlohmann::json::array());
}

HubTest::~HubTest() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

std::string HubTest::endpoint() const { return server().endpoint(); }

HubOptions HubTest::options() const {
  HubOptions options;
  options.cache_directory = cache();
  options.view_directory = path("views");
  options.endpoint = endpoint();
  options.token_path = path("token");
  options.backoff_ms = 10;
  options.n_attempts = 4;
  options.answer_timeout_s = 20;
  options.stall_timeout_s = 20;
  return options;
}

void HubTest::publish(const std::string& repo, const std::string& checkpoint,
                      const std::vector<std::string>& files) const {
  const fs::path from = fs::path(CSM_TEST_DATA) / checkpoint;
  const fs::path to = server().root() / repo;
  fs::create_directories(to);
  std::vector<std::string> names = files;
  if (names.empty()) {
    for (const auto& entry : fs::directory_iterator(from)) names.push_back(entry.path().filename().string());
  }
  for (const std::string& name : names) fs::copy_file(from / name, to / name, fs::copy_options::overwrite_existing);
}

void HubTest::publish_file(const std::string& repo, const std::string& name, const std::string& bytes) const {
  const fs::path file = server().root() / repo / name;
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << bytes;
}

void HubTest::set_model(const std::string& repo, const nlohmann::json& settings) const {
  publish_file(repo, ".server.json", settings.dump());
}

void HubTest::set_rules(const nlohmann::json& rules) const {
  const std::string url = endpoint() + "/_rules";
  const std::string text = rules.dump();
  CURL* curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_cleanup(curl);
  ASSERT_EQ(code, CURLE_OK) << curl_easy_strerror(code);
}

std::vector<HubTest::Request> HubTest::requests() const {
  HttpClient client(options(), CancelToken());
  HttpRequest request;
  request.url = endpoint() + "/_log";
  request.max_body_bytes = 16 << 20;
  std::vector<Request> found;
  for (const nlohmann::json& entry : nlohmann::json::parse(client.send(request).body)) {
    const auto text = [&](const char* key) { return entry.at(key).is_null() ? "" : entry.at(key).get<std::string>(); };
    found.push_back({text("line"), text("authorization"), text("range")});
  }
  return found;
}

size_t HubTest::n_requests(const std::string& part) const {
  size_t n = 0;
  for (const Request& request : requests()) n += request.line.find(part) != std::string::npos ? 1 : 0;
  return n;
}

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string some_bytes(size_t n_bytes, unsigned seed) {
  std::minstd_rand random(seed);
  std::string bytes(n_bytes, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() >> 8);
  return bytes;
}

}  // namespace csm
