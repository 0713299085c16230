// Converted weights that are kept between starts: what the MLX backend makes of a model's files when it loads them
// (types, quantisation, layout), so that the next start maps it instead.
//
// An entry belongs to the content of the model's files and to the settings it was made with. Entries that were not used
// for the longest time go when the limit is passed. Deleting anything here is safe at any time: it is made again.
// Functions keep no state and may be called from any thread; several processes may use one cache.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <csm/error.h>

namespace csm {

struct WeightCacheOptions {
  std::string directory;                      // empty: nothing is kept
  uint64_t limit_bytes = uint64_t{16} << 30;  // of all entries together

  // CSM_WEIGHT_CACHE (a directory, or "off"), CSM_WEIGHT_CACHE_LIMIT ("16G"); else $XDG_CACHE_HOME/csm/mlx, else
  // ~/.cache/csm/mlx. Errors: kInvalidArgument.
  static WeightCacheOptions from_environment();
  // EngineOptions::weight_cache and weight_cache_limit: "auto" is what the environment says. Errors: kInvalidArgument.
  static WeightCacheOptions resolve(const std::string& weight_cache, const std::string& limit);
};

struct CachedWeights {
  std::string path;      // of the entry's file
  std::string content;   // SHA-256 of what the model's files hold
  std::string settings;  // what it was made with
  std::string model;     // a path that the model was loaded from, if one is known
  uint64_t bytes = 0;
  int64_t used_unix = 0;  // when it was last loaded, in seconds
  std::string problem;    // empty: as it should be. Only the header is looked at, not the weights
};

// All entries, the last used first. Errors: kIo.
std::vector<CachedWeights> cached_weights(const WeightCacheOptions& options);

// Deletes all entries, and what is known of sources. Returns the bytes freed. Errors: kIo.
uint64_t clear_cached_weights(const WeightCacheOptions& options);

}  // namespace csm
