// Settings of EngineOptions that only the MLX backend reads: converted weights kept between starts, and its memory.
#include "config/fields.h"

namespace csm::app {
namespace {

// Commands that load a model, and those that look after the cache.
std::vector<std::string> cache_users() {
  std::vector<std::string> commands = kCodecUsers;
  commands.insert(commands.end(), {"cache", "cache clear"});
  return commands;
}

Field size_field(const char* name, std::string EngineOptions::*member, const char* help) {
  return {.section = "mlx",
          .name = name,
          .binding = bind([member](Settings& s) -> auto& { return s.engine.*member; }),
          .suggestions = {"auto", "512M", "16G"},
          .check =
              [member](const std::string& value) {
                EngineOptions options;
                options.model = "any";
                options.*member = value;
                options.validate();
              },
          .type = "SIZE",
          .help = help,
          .commands = kCodecUsers};
}

}  // namespace

void add_mlx_fields(std::vector<Field>& table) {
  table.push_back({.section = "mlx",
                   .name = "weight-cache",
                   .binding = bind([](Settings& s) -> auto& { return s.engine.weight_cache; }),
                   .suggestions = {"auto", "off"},
                   .is_path = true,
                   .type = "DIR|off",
                   .help = "Where converted weights are kept for the next start; auto: csm/mlx in the user's cache",
                   .commands = cache_users()});
  Field limit = size_field("weight-cache-limit", &EngineOptions::weight_cache_limit, "How much of them; auto: 16G");
  limit.commands = cache_users();
  table.push_back(limit);
  table.push_back(size_field("mlx-cache-limit", &EngineOptions::mlx_cache_limit, "Freed memory that is kept for reuse"));
  table.push_back(size_field("mlx-memory-limit", &EngineOptions::mlx_memory_limit, "Guideline for all of MLX's memory"));
  table.push_back(size_field("mlx-wired-limit", &EngineOptions::mlx_wired_limit, "Memory that stays resident; Metal only"));
  table.push_back({.section = "mlx",
                   .name = "mlx-clear-cache",
                   .binding = bind([](Settings& s) -> auto& { return s.engine.mlx_clear_cache; }),
                   .choices = {"utterance", "never"},
                   .type = "WHEN",
                   .help = "When memory kept for reuse goes back to the system: at the end of an utterance, or never",
                   .commands = kCodecUsers});
}

}  // namespace csm::app
