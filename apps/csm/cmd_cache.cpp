// csm cache: converted weights that are kept between starts, and removing them.
#include <csm/cache.h>
#include <fmt/format.h>

#include <memory>

#include "commands.h"
#include "flags.h"
#include "output.h"

namespace csm::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  csm cache
  csm cache --json
  csm cache clear

The MLX backend converts weights when it loads a model, and keeps what came out: the next start maps it. An entry belongs
to the content of the model's files and to the settings; those that were not used for the longest time go when the limit
is passed. CSM_WEIGHT_CACHE names another directory, or is "off"; CSM_WEIGHT_CACHE_LIMIT is a size such as 16G.)";

struct CacheOptions {
  bool json = false;
};

WeightCacheOptions cache_of(const Settings& settings) {
  return WeightCacheOptions::resolve(settings.engine.weight_cache, settings.engine.weight_cache_limit);
}

int run_list(const CacheOptions& options, const Settings& settings) {
  const WeightCacheOptions cache = cache_of(settings);
  const std::vector<CachedWeights> all = cached_weights(cache);
  uint64_t total = 0;
  for (const CachedWeights& weights : all) total += weights.bytes;
  if (options.json) {
    Json list = Json::array();
    for (const CachedWeights& weights : all) {
      list.push_back({{"path", weights.path},
                      {"model", weights.model},
                      {"content", weights.content},
                      {"settings", weights.settings},
                      {"bytes", weights.bytes},
                      {"used", weights.used_unix},
                      {"problem", weights.problem}});
    }
    print_json({{"directory", cache.directory}, {"limit", cache.limit_bytes}, {"bytes", total}, {"entries", list}});
    return kDone;
  }
  if (cache.directory.empty()) {
    print_text("the cache of converted weights is off");
    return kDone;
  }
  std::string text;
  for (const CachedWeights& weights : all) {
    const bool is_whole = weights.problem.empty();
    text += fmt::format("{:>10}  {}  {}\n            {}\n", human_bytes(weights.bytes), utc_text(weights.used_unix, "%Y-%m-%d %H:%M"),
                        printable(weights.model.empty() ? weights.path : weights.model),
                        printable(is_whole ? weights.settings : "[" + weights.problem + "]"));
  }
  print_text(text + fmt::format("{} of at most {} in '{}'", human_bytes(total), human_bytes(cache.limit_bytes),
                                printable(cache.directory)));
  return kDone;
}

int run_clear(const Settings& settings) {
  const WeightCacheOptions cache = cache_of(settings);
  const uint64_t n_bytes = clear_cached_weights(cache);
  print_text(fmt::format("{} freed in '{}'", human_bytes(n_bytes), printable(cache.directory)));
  return kDone;
}

}  // namespace

void add_cache(CLI::App& program, Commands& commands) {
  CLI::App* app = program.add_subcommand("cache", "Show or remove converted weights that are kept between starts");
  const auto options = std::make_shared<CacheOptions>();
  app->footer(kFooter);
  add_json_flag(*app, options->json);
  CLI::App* clear = app->add_subcommand("clear", "Remove all of them");
  commands.push_back({clear, [](const Configuration& from) { return run_clear(from.settings); }});
  commands.push_back({app, [options](const Configuration& from) { return run_list(*options, from.settings); }});  // after clear: both count as parsed then
}

}  // namespace csm::app
