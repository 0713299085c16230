#include "include_rules.h"

#include <fmt/format.h>

#include <regex>
#include <sstream>

namespace layers {
namespace {

bool starts_with(const std::string& text, const std::string& prefix) { return text.rfind(prefix, 0) == 0; }

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

// "apps/csm" of a file in it or in its sub-folders; "" elsewhere.
std::string program_of(const std::string& path) {
  const std::string apps = "apps/";
  if (!starts_with(path, apps)) return "";
  return path.substr(0, path.find('/', apps.size()));
}

// Where a quoted include leads: beside the file, below src/ or below its program's folder; "" when to no file of ours.
std::string resolve(const Sources& sources, const std::string& from, const std::string& included) {
  for (const std::string& candidate :
       {folder_of(from) + "/" + included, "src/" + included, program_of(from) + "/" + included}) {
    if (sources.files.count(candidate) != 0) return candidate;
  }
  return "";
}

// "" when a file of this layer may include the target.
std::string refusal_in_src(const Sources& sources, const std::string& path, const std::string& target) {
  const std::string from = layer_of(sources.table, path.substr(4));
  if (from.empty()) return "the file is in no layer: declare its folder with csm_layer in CMakeLists.txt";
  if (!starts_with(target, "src/")) return "only files of src/ and <csm/...> may be included";
  const std::string to = layer_of(sources.table, target.substr(4));
  if (to == from || sources.table.at(from).count(to) != 0) return "";
  const bool upward = sources.table.count(to) != 0 && sources.table.at(to).count(from) != 0;
  return fmt::format("layer {} may not include layer {}, which is {} it", from, to, upward ? "above" : "beside");
}

// "" when the include is allowed; includes of libraries are not looked at.
std::string refusal(const Sources& sources, const std::string& path, const Include& include) {
  const std::string public_target = "include/" + include.path;
  if (starts_with(include.path, "csm/")) {
    if (include.quoted) return "public headers are included as <csm/...>";
    return sources.files.count(public_target) != 0 ? "" : "no such public header";
  }
  if (starts_with(path, "include/")) {
    const bool standard = !include.quoted && include.path.find_first_of("/.") == std::string::npos;
    return standard ? "" : "a public header may include only <csm/...> and the C++ standard library";
  }
  if (!include.quoted) {
    const bool ours = sources.files.count("src/" + include.path) != 0;
    return ours ? "files of src/ are included with quotes" : "";
  }
  const std::string target = resolve(sources, path, include.path);
  if (target.empty()) return "no such file beside it or below src/";
  if (starts_with(path, "src/")) return refusal_in_src(sources, path, target);
  const bool own = folder_of(target) == folder_of(path) || (!program_of(path).empty() && program_of(target) == program_of(path));
  return own ? "" : "a program may include only <csm/...> and its own folder";
}

}  // namespace

Table parse_table(const std::string& text) {
  Table table;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string folder;
    if (!(words >> folder)) continue;
    std::set<std::string>& allowed = table[folder];
    for (std::string word; words >> word;) allowed.insert(word);
  }
  return table;
}

std::vector<Include> find_includes(const std::string& text) {
  static const std::regex pattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)");
  std::vector<Include> found;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::smatch match;
    if (line.find("include") == std::string::npos || !std::regex_match(line, match, pattern)) continue;
    found.push_back({number, match[2], match[1] == "\""});
  }
  return found;
}

std::string layer_of(const Table& table, const std::string& path_in_src) {
  for (std::string folder = folder_of(path_in_src); !folder.empty(); folder = folder_of(folder)) {
    if (table.count(folder) != 0) return folder;
  }
  return "";
}

std::vector<std::string> violations(const Sources& sources, const std::string& path, const std::string& text) {
  std::vector<std::string> found;
  for (const Include& include : find_includes(text)) {
    const std::string why = refusal(sources, path, include);
    if (!why.empty()) found.push_back(fmt::format("{}:{}: includes {}: {}", path, include.line, include.path, why));
  }
  return found;
}

}  // namespace layers
