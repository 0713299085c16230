#include "help/man_page.h"

#include <fmt/format.h>

#include "config/fields.h"

namespace csm::app {
namespace {

// Text as roff prints it: a backslash, a minus that may be copied, and no line that begins as a request.
std::string roff(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool at_begin = i == 0 || text[i - 1] == '\n';
    if (at_begin && (text[i] == '.' || text[i] == '\'')) result += "\\&";
    if (text[i] == '\\') {
      result += "\\e";
    } else if (text[i] == '-') {
      result += "\\-";
    } else {
      result += text[i];
    }
  }
  return result;
}

// As typed, line for line.
std::string verbatim(const std::string& text) { return ".nf\n" + roff(text) + "\n.fi\n"; }

std::string flag_entry(const FlagInfo& flag) {
  std::string names;
  for (const std::string& name : flag.names) names += (names.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
  if (!flag.type.empty()) names += " \\fI" + roff(flag.type) + "\\fR";
  std::string about = flag.about;
  if (!flag.fallback.empty()) about += " (default: " + flag.fallback + ")";
  return ".TP\n" + names + "\n" + roff(about) + "\n";
}

std::string synopsis(const CommandInfo& command) {
  std::string text = "\\fB" + roff(command.path) + "\\fR";
  if (!command.flags.empty()) text += " [\\fIoptions\\fR]";
  for (const FlagInfo& positional : command.positionals) text += " [\\fI" + roff(positional.names.front()) + "\\fR]";
  return text;
}

std::string command_section(const CommandInfo& command) {
  std::string text = ".SS " + roff(command.path) + "\n" + roff(command.about) + ".\n.PP\n" + synopsis(command) + "\n";
  for (const FlagInfo& positional : command.positionals) {
    text += ".TP\n\\fI" + roff(positional.names.front()) + "\\fR\n" + roff(positional.about) + "\n";
  }
  std::string group;
  for (const FlagInfo& flag : command.flags) {
    if (flag.group != group) text += ".PP\n\\fI" + roff(flag.group) + "\\fR\n";
    group = flag.group;
    text += flag_entry(flag);
  }
  if (!command.examples.empty()) text += ".PP\n" + verbatim(command.examples);
  return text;
}

std::string environment_section() {
  std::string text = ".SH ENVIRONMENT\nEach setting has a variable; an empty one counts as unset.\n";
  for (const Field& field : fields()) {
    text += ".TP\n\\fB" + roff(field.variable()) + "\\fR\n" + roff(field.help) + ": as \\fB" +
            roff(field.flag_name(field.commands.front())) + "\\fR of " +
            roff(fmt::format("{}", fmt::join(field.commands, ", "))) + "\n";
  }
  return text + ".TP\n\\fBCSM_CONFIG\\fR\nThe configuration file\n.TP\n\\fBCSM_PRESET\\fR\nThe preset, where \\fB\\-\\-preset\\fR "
                "names none\n";
}

constexpr const char* kFiles = R"(.SH FILES
.TP
\fI~/.config/csm/config.toml\fR
Settings, in TOML: the key of a setting is its flag's name in its section, as \fBcsm config\fR prints them. The folder is
\fI$XDG_CONFIG_HOME/csm\fR where that is set.
.PP
Later ones win: defaults, configuration file, preset, environment, flags.
.SH EXIT STATUS
.TP
0
Done.
.TP
1
Failed: a bad file, model or text, a full disk.
.TP
2
A command line, variable or configuration file that cannot work.
.TP
130
Interrupted.
)";

}  // namespace

std::string man_page(const std::vector<CommandInfo>& commands) {
  std::string text = fmt::format(".TH CSM 1 \"\" \"csm {}\" \"User Commands\"\n.SH NAME\ncsm \\- text and conversation in, "
                                 "speech out\n.SH SYNOPSIS\n\\fBcsm\\fR \\fIcommand\\fR [\\fIoptions\\fR]\n.SH DESCRIPTION\n",
                                 CSM_VERSION);
  text += verbatim(commands.front().examples) + ".SH OPTIONS\n";
  for (const FlagInfo& flag : commands.front().flags) text += flag_entry(flag);
  text += ".SH COMMANDS\n";
  for (size_t i = 1; i < commands.size(); ++i) text += command_section(commands[i]);
  return text + environment_section() + kFiles;
}

}  // namespace csm::app
