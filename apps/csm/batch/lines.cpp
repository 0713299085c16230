#include "batch/lines.h"

#include <csm/audio.h>
#include <csm/error.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "config/fields.h"
#include "flags.h"

namespace csm::app {
namespace {

using json = nlohmann::json;

constexpr size_t kMaxLines = 1'000'000;

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::kInvalidData, message); }

// The model is loaded once for all lines, and words on the terminal are the batch's own.
bool belongs_to_line(const Field& field) {
  return field.taken_by("batch") && field.section != "engine" && field.name != "quiet";
}

// How fast it is made, and what is told meanwhile, change nothing of the sound.
bool decides_sound(const Field& field) {
  return field.taken_by("batch") && field.name != "quiet" && field.name != "threads" && field.name != "device";
}

std::vector<std::string> known_keys() {
  std::vector<std::string> keys = {"text", "file", "context"};
  for (const Field& field : fields()) {
    if (belongs_to_line(field)) keys.push_back(field.name);
  }
  return keys;
}

std::string value_text(const json& value, const std::string& key) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  if (!value.is_array())
    refuse(fmt::format("\"{}\": expected a number, a text or true or false, found {}", key, value.type_name()));
  std::string list;
  for (const json& item : value) list += (list.empty() ? "" : ",") + value_text(item, key);
  return list;
}

std::string text_of(const json& value, const std::string& key) {
  if (!value.is_string()) refuse(fmt::format("\"{}\": expected a text, found {}", key, value.type_name()));
  return value.get<std::string>();
}

// As on the command line, a setting takes the place of those that it excludes.
void set_field(const Field& field, const std::string& text, Settings& settings) {
  const std::string value = checked_value(field, text, fmt::format("\"{}\"", field.name));
  for (const Field& other : fields()) {
    const auto names = [](const Field& a, const Field& b) {
      return std::find(a.instead_of.begin(), a.instead_of.end(), b.name) != a.instead_of.end();
    };
    if (names(field, other) || names(other, field)) other.binding.copy(settings, Settings());
  }
  field.binding.set(settings, value);
}

void read_key(const std::string& given, const json& value, const std::string& folder, BatchLine& line) {
  std::string key = given;
  std::replace(key.begin(), key.end(), '_', '-');
  if (key == "text") {
    line.text = text_of(value, key);
  } else if (key == "file") {
    line.file = text_of(value, key);
  } else if (key == "context") {
    line.context = (std::filesystem::path(folder) / text_of(value, key)).string();
  } else if (const Field* field = find_field(key); field != nullptr && belongs_to_line(*field)) {
    set_field(*field, value_text(value, key), line.settings);
  } else {
    const auto near = nearest(key, known_keys());
    refuse(fmt::format("unknown key \"{}\"{}", given, near ? fmt::format("; did you mean \"{}\"?", *near) : ""));
  }
}

void read_object(const std::string& text, const std::string& folder, BatchLine& line) {
  json object;
  try {
    object = json::parse(text);
  } catch (const json::exception&) {
    refuse("this is not JSON; expected an object as {\"text\": \"Good morning.\", \"speaker\": 0}");
  }
  if (!object.is_object())
    refuse(fmt::format("expected an object as {{\"text\": \"Good morning.\"}}, found {}", object.type_name()));
  for (const auto& [key, value] : object.items()) read_key(key, value, folder, line);
}

std::string file_ending(const Settings& settings) {
  for (const AudioFormat& format : audio_output_formats()) {
    if (format.name == settings.output.format) return format.extensions.front();
  }
  return "wav";
}

// Inside the folder, whatever a line says.
void check_file_name(const std::string& name) {
  const std::filesystem::path path(name);
  const bool climbs = std::any_of(path.begin(), path.end(), [](const auto& part) { return part == ".."; });
  const bool has_control = std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (path.is_absolute() || climbs || has_control || !path.has_filename() || path.filename() == ".") {
    refuse(fmt::format("\"file\": expected a name inside the output folder, found '{}'", name));
  }
}

void finish_line(BatchLine& line) {
  if (line.text.find_first_not_of(" \t\r\n") == std::string::npos) refuse("there is no \"text\" to speak");
  if (line.file.empty()) line.file = fmt::format("{:05}.{}", line.number, file_ending(line.settings));
  check_file_name(line.file);
  line.file = std::filesystem::path(line.file).lexically_normal().string();
  if (line.file == "manifest.jsonl") refuse("\"file\": manifest.jsonl is the batch's own; choose another name");
  (void)line.settings.output.audio({});
}

class Fingerprint {
 public:
  void add(const void* data, size_t n_bytes) {  // FNV-1a; the length keeps neighbours apart
    add_bytes(&n_bytes, sizeof n_bytes);
    add_bytes(data, n_bytes);
  }
  void add(const std::string& text) { add(text.data(), text.size()); }
  std::string text() const { return fmt::format("{:016x}", hash_); }

 private:
  void add_bytes(const void* data, size_t n_bytes) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < n_bytes; ++i) hash_ = (hash_ ^ bytes[i]) * 0x100000001B3;
  }
  uint64_t hash_ = 0xCBF29CE484222325;
};

}  // namespace

BatchFormat batch_format(const std::string& path, const std::string& text) {
  const std::string ending = std::filesystem::path(path).extension().string();
  if (ending == ".jsonl" || ending == ".ndjson" || ending == ".json") return BatchFormat::kJson;
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool begins_with_object = first != std::string::npos && text[first] == '{';
  return path == "-" && begins_with_object ? BatchFormat::kJson : BatchFormat::kText;
}

std::vector<BatchLine> read_batch(const std::string& text, BatchFormat format, const Settings& settings,
                                  const std::string& folder) {
  std::vector<BatchLine> lines;
  std::map<std::string, size_t> files;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string content = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (!content.empty() && content.back() == '\r') content.pop_back();
    if (content.find_first_not_of(" \t") == std::string::npos) continue;
    if (lines.size() == kMaxLines) refuse(fmt::format("a batch has at most {} lines; split it", kMaxLines));
    BatchLine& line = lines.emplace_back();
    line.number = number;
    line.settings = settings;
    try {
      if (format == BatchFormat::kJson) {
        read_object(content, folder, line);
      } else {
        line.text = content;
      }
      finish_line(line);
      const auto [earlier, is_new] = files.emplace(line.file, number);
      if (!is_new) refuse(fmt::format("'{}' is the file of line {} as well", line.file, earlier->second));
    } catch (const std::runtime_error& error) {  // csm::Error and UsageError
      line.error = error.what();
    }
  }
  return lines;
}

std::string fingerprint(const BatchLine& line, const std::vector<Turn>& context) {
  Fingerprint of;
  of.add(line.text);
  for (const Field& field : fields()) {
    if (!decides_sound(field)) continue;
    of.add(field.name);
    of.add(field.binding.get(line.settings).value_or(""));
  }
  for (const Turn& turn : context) {
    of.add(fmt::format("{} {}", turn.speaker, turn.text));
    if (turn.audio) of.add(turn.audio->samples.data(), turn.audio->samples.size() * sizeof(float));
    if (turn.codes) of.add(turn.codes->ids.data(), turn.codes->ids.size() * sizeof(int32_t));
  }
  return of.text();
}

}  // namespace csm::app
