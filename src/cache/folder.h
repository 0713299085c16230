// The directory of the cache of converted weights: which entries there are, and which go when there are too many.
//
// An entry's time of modification is when it was last used. Stateless; any thread and process.
#pragma once

#include <string>

#include <csm/cache.h>

#include "cache/entry.h"

namespace csm {

std::string entry_path(const WeightCacheOptions& options, const EntryKey& key);

// Best effort: an entry that cannot be marked only looks older than it is.
void mark_used(const std::string& path);

// Removes entries, longest unused first and never `kept`, until all fit the limit; and what killed writers and vanished
// models left behind.
void keep_within_limit(const WeightCacheOptions& options, const std::string& kept);

}  // namespace csm
