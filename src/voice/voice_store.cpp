// Where voices lie: a folder of the user's and one beside the bundled model, a file for each voice.
#include <csm/inspect.h>
#include <csm/voice.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <system_error>

#include "base/fail.h"
#include "voice/voice_file.h"

namespace csm {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxNamed = 20;  // voices in a message

std::string file_of(const std::string& directory, const std::string& name) {
  return (fs::path(directory) / (name + kVoiceSuffix)).string();
}

void add_folder(const std::string& directory, bool is_bundled, std::map<std::string, VoiceEntry>& voices) {
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const fs::path& path = it->path();
    if (path.extension() != kVoiceSuffix) continue;
    const std::string name = path.stem().string();
    voices[name] = {name, path.string(), is_bundled};
  }
}

const VoiceEntry* find_entry(const std::vector<VoiceEntry>& voices, const std::string& name) {
  const auto found = std::find_if(voices.begin(), voices.end(), [&](const VoiceEntry& v) { return v.name == name; });
  return found == voices.end() ? nullptr : &*found;
}

[[noreturn]] void fail_unknown(const std::string& name, const std::vector<VoiceEntry>& voices) {
  std::string known;
  for (size_t i = 0; i < std::min(voices.size(), kMaxNamed); ++i) known += (i > 0 ? ", " : "") + voices[i].name;
  fail(ErrorCode::kNotFound, "there is no voice '{}'; known are {}; csm voice add makes one", name,
       known.empty() ? "none" : known);
}

}  // namespace

std::string voices_directory() {
  const auto of = [](const char* variable) {
    const char* value = std::getenv(variable);
    return std::string(value == nullptr ? "" : value);
  };
  const std::string data = of("XDG_DATA_HOME");
  if (!data.empty() && fs::path(data).is_absolute()) return (fs::path(data) / "csm/voices").string();
  return (fs::path(of("HOME")) / ".local/share/csm/voices").string();
}

std::vector<VoiceEntry> list_voices() {
  std::map<std::string, VoiceEntry> voices;
  const std::string bundled = bundled_voices_path();
  if (!bundled.empty()) add_folder(bundled, true, voices);
  add_folder(voices_directory(), false, voices);
  std::vector<VoiceEntry> result;
  for (auto& [name, entry] : voices) result.push_back(std::move(entry));
  return result;
}

Voice find_voice(const std::string& name_or_path) {
  const std::vector<VoiceEntry> voices = list_voices();
  if (const VoiceEntry* entry = find_entry(voices, name_or_path)) return read_voice(entry->path);
  const bool is_path =
      name_or_path.find('/') != std::string::npos || fs::path(name_or_path).extension() == kVoiceSuffix;
  if (is_path) return read_voice(name_or_path);
  fail_unknown(name_or_path, voices);
}

void store_voice(const Voice& voice, VoiceConflict conflict) {
  voice.validate();
  const std::string directory = voices_directory();
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) fail(ErrorCode::kIo, "cannot make the folder of voices '{}': {}", directory, error.message());
  const std::string path = file_of(directory, voice.name);
  if (conflict == VoiceConflict::kFail && fs::exists(path, error)) {
    fail(ErrorCode::kInvalidArgument, "there is a voice '{}' already; remove it first (csm voice rm {}), or replace it",
         voice.name, voice.name);
  }
  write_voice(path, voice);
}

void remove_voice(const std::string& name) {
  const std::vector<VoiceEntry> voices = list_voices();
  const VoiceEntry* entry = find_entry(voices, name);
  if (entry == nullptr) fail_unknown(name, voices);
  if (entry->is_bundled) {
    fail(ErrorCode::kInvalidArgument, "voice '{}' comes with csm and stays; a voice of your own of that name hides it",
         name);
  }
  std::error_code error;
  if (!fs::remove(entry->path, error) || error) {
    fail(ErrorCode::kIo, "cannot remove '{}': {}", entry->path, error ? error.message() : "it is gone");
  }
}

}  // namespace csm
