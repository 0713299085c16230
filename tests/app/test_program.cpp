// The command line as a whole: every command explains itself, and pages and scripts know every flag.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

#include "config/fields.h"
#include "help/command_tree.h"
#include "help/completions.h"
#include "help/man_page.h"
#include "program.h"

namespace csm::app {
namespace {

TEST(ProgramTree, EveryCommandHasExamplesAndEveryFlagIsExplained) {
  const Program program;
  for (const CommandInfo& command : describe(program.app())) {
    SCOPED_TRACE(command.path);
    EXPECT_FALSE(command.about.empty());
    if (command.path != "csm") {
      EXPECT_EQ(command.examples.rfind("Examples:\n  ", 0), 0u) << "the footer begins with examples";
      EXPECT_NE(command.examples.find("  csm "), std::string::npos);
    }
    for (const FlagInfo& flag : command.flags) {
      EXPECT_FALSE(flag.about.empty()) << flag.names.front();
      EXPECT_NE(flag.about.back(), '.') << flag.names.front() << ": help is a phrase";
    }
    for (const FlagInfo& positional : command.positionals) {
      EXPECT_FALSE(positional.about.empty()) << positional.names.front();
    }
  }
}

TEST(ProgramTree, CommandsThatTakeSettingsExist) {
  const Program program;
  std::vector<std::string> paths;
  for (const CommandInfo& command : describe(program.app())) paths.push_back(command.path);
  for (const Field& field : fields()) {
    for (const std::string& command : field.commands) {
      EXPECT_NE(std::find(paths.begin(), paths.end(), "csm " + command), paths.end()) << field.name << ": " << command;
    }
  }
}

TEST(ProgramTree, ScriptsAndThePageKnowEveryFlag) {
  const Program program;
  const std::vector<CommandInfo> commands = describe(program.app());
  const std::string bash = bash_completions(commands), zsh = zsh_completions(commands), fish = fish_completions(commands);
  std::string page = man_page(commands);
  for (size_t at = 0; (at = page.find("\\-", at)) != std::string::npos;) page.erase(at, 1);
  for (const CommandInfo& command : commands) {
    for (const FlagInfo& flag : command.flags) {
      for (const std::string& name : flag.names) {
        const bool is_long = name.compare(0, 2, "--") == 0;
        EXPECT_NE(bash.find(name), std::string::npos) << name;
        EXPECT_NE(zsh.find("'*" + name), std::string::npos) << name;
        EXPECT_NE(fish.find(is_long ? " -l " + name.substr(2) : " -s " + name.substr(1)), std::string::npos) << name;
        EXPECT_NE(page.find("\\fB" + name + "\\fR"), std::string::npos) << name;
      }
    }
  }
}

TEST(ProgramTree, ThePageIsRoffWithoutStrayRequests) {
  const Program program;
  const std::string page = man_page(describe(program.app()));
  EXPECT_EQ(page.rfind(".TH CSM 1", 0), 0u);
  for (size_t begin = 0; begin < page.size();) {
    const size_t end = std::min(page.find('\n', begin), page.size());
    const std::string line = page.substr(begin, end - begin);
    EXPECT_NE(line.rfind("'", 0), 0u) << line;
    if (line[0] == '.') {
      EXPECT_TRUE((line.size() >= 3 && std::isupper(line[1]) != 0) || line == ".nf" || line == ".fi") << line;
    }
    begin = end + 1;
  }
}

}  // namespace
}  // namespace csm::app
