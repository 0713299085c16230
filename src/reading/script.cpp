// Scripts of several speakers (csm/text.h).
#include <csm/text.h>

#include <algorithm>

#include "base/fail.h"
#include "io/json.h"
#include "reading/characters.h"

namespace csm {
namespace reading {
namespace {

constexpr size_t kMaxNameCharacters = 40;
constexpr size_t kMaxSpeakers = 1000;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\v\f";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

class ScriptReader {
 public:
  explicit ScriptReader(const std::string& where) : where_(where) {}

  Script read(std::string_view text) {
    check_text(text);
    bool is_first = true;
    bool is_json = false;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      const std::string_view line = trimmed(text.substr(begin, end - begin));
      begin = end + 1;
      ++line_;
      if (!line.empty() && line.front() == '#') continue;
      if (is_first && !line.empty()) {
        is_json = line.front() == '{';
        is_first = false;
      }
      if (is_json) {
        if (!line.empty()) add_json(line);
      } else {
        add_plain(line);
      }
    }
    finish_turn();
    if (script_.lines.empty()) {
      fail(ErrorCode::kInvalidData, "'{}' says nothing; expected lines as 'Anna: Hello.' or {{\"speaker\": \"Anna\", \"text\": \"Hello.\"}}", where_);
    }
    return std::move(script_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail_line(int line, fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorCode::kInvalidData, "'{}' line {}: {}", where_, line, fmt::format(format, std::forward<Args>(args)...));
  }

  void check_text(std::string_view text) const {
    try {
      (void)Characters(text);
    } catch (const Error& error) {
      fail(ErrorCode::kInvalidData, "'{}': {}", where_, error.what());
    }
  }

  // Where the name in front of the text ends; npos when the line names nobody.
  static size_t name_end(std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || (colon + 1 < line.size() && line[colon + 1] == '/')) return std::string_view::npos;
    const std::string_view name = trimmed(line.substr(0, colon));
    const bool is_name = !name.empty() && name.find_first_of(".,;!?\"()[]{}<>") == std::string_view::npos && Characters(name).size() <= kMaxNameCharacters;
    // "At 10:30 we left" names nobody.
    const bool is_clock = colon + 1 < line.size() && is_digit(static_cast<unsigned char>(line[colon - 1])) && is_digit(static_cast<unsigned char>(line[colon + 1]));
    return is_name && !is_clock ? colon : std::string_view::npos;
  }

  void add_plain(std::string_view line) {
    if (line.empty()) {
      if (!turn_.text.empty()) blank_ = true;
      return;
    }
    const size_t colon = name_end(line);
    if (colon != std::string_view::npos) {
      finish_turn();
      turn_.speaker = speaker_named(std::string(trimmed(line.substr(0, colon))));
      turn_.line = line_;
      turn_.text = trimmed(line.substr(colon + 1));
      return;
    }
    if (turn_.line == 0) fail_line(line_, "nobody speaks here yet; expected 'NAME: text', found {}", brief(nlohmann::json(std::string(line.substr(0, 60)))));
    if (!turn_.text.empty()) turn_.text += blank_ ? "\n\n" : "\n";
    turn_.text += line;
    blank_ = false;
  }

  void finish_turn() {
    blank_ = false;
    if (turn_.line == 0) return;
    if (turn_.text.empty()) fail_line(turn_.line, "{} says nothing", brief(nlohmann::json(script_.speakers[static_cast<size_t>(turn_.speaker)])));
    script_.lines.push_back(std::move(turn_));
    turn_ = ScriptLine();
  }

  void add_json(std::string_view line) {
    const std::string where = fmt::format("{}' line '{}", where_, line_);
    const nlohmann::json value = parse_json(line, where);
    const JsonObject object(value, where);
    for (const auto& [key, unused] : value.items()) {
      if (key != "speaker" && key != "text" && key != "voice") fail_line(line_, "unknown field {}; expected speaker, text and voice", brief(nlohmann::json(key)));
    }
    ScriptLine turn;
    turn.line = line_;
    turn.text = object.text("text");
    turn.voice = object.text_or("voice", "");
    if (trimmed(turn.text).empty()) fail_line(line_, "field 'text' is empty");
    const auto speaker = value.find("speaker");
    const bool is_number = speaker != value.end() && speaker->is_number_integer();
    const std::string name = is_number ? std::to_string(object.integer("speaker", 0, 1 << 20)) : std::string(trimmed(object.text_or("speaker", "0")));
    if (name.empty()) fail_line(line_, "field 'speaker' is empty");
    turn.speaker = speaker_named(name);
    script_.lines.push_back(std::move(turn));
  }

  int speaker_named(const std::string& name) {
    const auto found = std::find(script_.speakers.begin(), script_.speakers.end(), name);
    if (found == script_.speakers.end()) {
      if (script_.speakers.size() == kMaxSpeakers) fail_line(line_, "more than {} speakers", kMaxSpeakers);
      script_.speakers.push_back(name);
      return static_cast<int>(script_.speakers.size()) - 1;
    }
    return static_cast<int>(found - script_.speakers.begin());
  }

  const std::string& where_;
  Script script_;
  ScriptLine turn_;  // of the plain form, still growing; line 0: there is none
  bool blank_ = false;
  int line_ = 0;
};

}  // namespace
}  // namespace reading

Script parse_script(std::string_view text, const std::string& where) { return reading::ScriptReader(where).read(text); }

}  // namespace csm
