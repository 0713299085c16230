// The cache of converted weights of one model's files.
//
// Place in the flow: engine -> (here) -> backend, through model/weight_cache.h. Whatever goes wrong with the cache is a
// note and no error. Made and used on one thread; several processes may work in one directory: entries appear whole, by
// renaming, and a removed one lives on for those who have it mapped.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <csm/cache.h>

#include "cache/content.h"
#include "model/weight_cache.h"

namespace csm {

class FileWeightCache final : public WeightCache {
 public:
  // files: as ContentDigest takes them. An empty directory in the options: everything below does nothing.
  FileWeightCache(WeightCacheOptions options, const std::vector<std::string>& files);

  // The files were read and their weights found good when they had this very state. Costs a look at each file.
  bool knows_files() const { return content_ && content_->known(); }
  std::unordered_map<std::string, TensorInfo> find(const std::string& settings) override;
  void discard(const std::string& settings, const DamagedEntry& damage) override;
  std::unique_ptr<WeightCacheWriter> begin(const std::string& settings, size_t n_tensors) override;
  // The model is loaded, its weights were found good: remembers the state of its files.
  void remember_files();

  const std::vector<std::string>& notes() const { return notes_; }

 private:
  friend class NotedWriter;
  // Runs f; an error becomes a note, once for each kind of trouble.
  template <typename F>
  bool attempt(const std::string& what, F&& f);
  void give_up(const std::string& what, const Error& error);

  WeightCacheOptions options_;
  std::optional<ContentDigest> content_;
  std::vector<std::string> notes_;
};

}  // namespace csm
