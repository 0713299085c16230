#include "conversation.h"

#include <csm/error.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "files.h"
#include "flags.h"

namespace csm::app {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 8;

[[noreturn]] void fail_data(const std::string& message) { throw Error(ErrorCode::kInvalidData, message); }

// nlohmann's own words without its "[json.exception.parse_error.101] parse error ".
std::string without_prefix(const std::string& what) {
  const size_t at = what.find("at line");
  return at == std::string::npos ? what : what.substr(at);
}

json parse_conversation(const std::string& path) {
  const std::string text = read_text(path);
  const json::parser_callback_t guard = [&](int depth, json::parse_event_t, json&) {
    if (depth > kMaxDepth)
      fail_data(fmt::format("'{}': nested deeper than {} levels; expected a list of turns", path, kMaxDepth));
    return true;
  };
  try {
    return json::parse(text, guard);
  } catch (const json::exception& error) {
    fail_data(fmt::format("'{}' is not JSON: {}", path, without_prefix(error.what())));
  }
}

class TurnReader {
 public:
  TurnReader(const json& value, std::string path, size_t number)
      : value_(value), path_(std::move(path)), where_(fmt::format("'{}': turn {}", path_, number)) {
    if (!value_.is_object()) {
      fail_data(fmt::format(R"({} must be an object as {{"speaker": 0, "text": "...", "audio": "a.wav"}})", where_));
    }
    check_keys();
  }

  Turn read() const {
    Turn turn;
    turn.speaker = speaker();
    turn.text = string("text");
    const bool has_audio = has("audio");
    if (has_audio && has("codes")) fail_data(where_ + " has both 'audio' and 'codes'; give one of them");
    if (has_audio) turn.audio = read_audio(resolved("audio"));
    if (has("codes")) turn.codes = read_codes(resolved("codes"));
    return turn;
  }

 private:
  void check_keys() const {
    const std::vector<std::string> known = {"speaker", "text", "audio", "codes"};
    for (const auto& [key, unused] : value_.items()) {
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      const auto near = nearest(key, known);
      fail_data(fmt::format(
          "{} has an unknown key '{}'; {}", where_, key,
          near ? fmt::format("did you mean '{}'?", *near) : fmt::format("known are {}", fmt::join(known, ", "))));
    }
  }

  bool has(const char* key) const { return value_.contains(key) && !value_.at(key).is_null(); }

  int speaker() const {
    if (!has("speaker")) return 0;
    const json& value = value_.at("speaker");
    if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int>::max())) {
      fail_data(fmt::format("{}: 'speaker' must be a whole number from 0; found {}", where_,
                            value.dump(-1, ' ', true).substr(0, 40)));
    }
    return value.get<int>();
  }

  std::string string(const char* key) const {
    if (!has(key)) fail_data(fmt::format("{} has no '{}'", where_, key));
    const json& value = value_.at(key);
    if (!value.is_string())
      fail_data(fmt::format("{}: '{}' must be a string; found {}", where_, key, value.type_name()));
    return value.get<std::string>();
  }

  std::string resolved(const char* key) const {
    const std::string name = string(key);
    if (name.empty()) fail_data(fmt::format("{}: '{}' is empty; expected a file", where_, key));
    return (std::filesystem::path(path_).parent_path() / name).string();
  }

  const json& value_;
  std::string path_;
  std::string where_;
};

std::vector<Turn> turns_of_flags(const ContextFlags& flags) {
  const size_t n = flags.texts.size();
  if (flags.audio.size() != n) {
    throw UsageError(fmt::format("each --context-text needs its --context-audio, in the same order; found {} and {}", n,
                                 flags.audio.size()));
  }
  if (!flags.speakers.empty() && flags.speakers.size() != n) {
    throw UsageError(
        fmt::format("found {} --context-text and {} --context-speaker; give one for each turn, or none (all 0)", n,
                    flags.speakers.size()));
  }
  std::vector<Turn> turns(n);
  for (size_t i = 0; i < n; ++i) {
    turns[i].text = flags.texts[i];
    turns[i].speaker = flags.speakers.empty() ? 0 : flags.speakers[i];
    turns[i].audio = read_audio(flags.audio[i]);
  }
  return turns;
}

}  // namespace

void add_context_flags(CLI::App& app, ContextFlags& flags) {
  const char* group = "Conversation so far (the voice comes from here)";
  app.add_option("--context-text", flags.texts, "What was said in a turn; repeatable")
      ->type_name("TEXT")
      ->group(group)
      ->allow_extra_args(false);
  app.add_option("--context-audio", flags.audio, "How it sounded: the audio file of the same turn; repeatable")
      ->type_name("FILE")
      ->group(group)
      ->allow_extra_args(false);
  app.add_option("--context-speaker", flags.speakers, "Who said it; repeatable (default: 0 for all turns)")
      ->type_name("N")
      ->group(group)
      ->allow_extra_args(false)
      ->check(whole_number(0));
  app.add_option("--context", flags.file, R"(All turns: [{"speaker": 0, "text": "...", "audio": "a.wav"}, ...])")
      ->type_name("FILE.json")
      ->group(group);
}

void add_conversation_flags(CLI::App& app, std::string& load, std::string& save) {
  const char* group = "Conversation so far (the voice comes from here)";
  app.add_option("--conversation", load, "Go on with a saved conversation")->type_name("FILE")->group(group);
  app.add_option("--save-conversation", save, "Save it with what is said; may be the same file")
      ->type_name("FILE")
      ->group(group);
}

std::vector<Turn> read_context(const ContextFlags& flags) {
  const bool any_flag = !flags.texts.empty() || !flags.audio.empty() || !flags.speakers.empty();
  if (flags.file.empty()) return turns_of_flags(flags);
  if (any_flag) throw UsageError("give the conversation either by --context or by --context-text, -audio and -speaker");
  return read_conversation(flags.file);
}

std::vector<Turn> read_conversation(const std::string& path) {
  const json document = parse_conversation(path);
  if (!document.is_array()) {
    fail_data(fmt::format(R"('{}' must be a list as [{{"speaker": 0, "text": "...", "audio": "a.wav"}}]; found {})",
                          path, document.type_name()));
  }
  std::vector<Turn> turns;
  for (const json& value : document) turns.push_back(TurnReader(value, path, turns.size() + 1).read());
  return turns;
}

}  // namespace csm::app
