// Everything an engine holds once a model is open.
//
// Place in the flow: loader -> LoadedModel -> synthesis, trace and the public class. Owned by the engine. The backend,
// the language model and the codec are made, used and destroyed on the inference thread; the rest is immutable and may
// be read from any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/loader.h"
#include "engine/prefix_pool.h"
#include "model/backend.h"

namespace csm {

struct LoadedModel {
  ModelFiles files;
  ModelSpec spec;
  int n_threads = 0;
  KvType kv_type = KvType::kF32;
  uint64_t kv_limit_bytes = 0;  // of all sequences together; 0 = no limit
  std::unique_ptr<Tokenizer> tokenizer;  // null: the model has no tokenizer.json
  std::unique_ptr<Backend> backend;
  std::unique_ptr<LanguageModel> language_model;  // null: a codec alone
  std::unique_ptr<PrefixPool> prefixes;           // null where language_model is; goes before it
  std::unique_ptr<Codec> codec;
  std::vector<std::string> notes;  // what went otherwise than asked, one line each

  // Codes per frame: those that the language model speaks, or all of a codec that is alone.
  int n_codebooks() const { return spec.has_language_model ? spec.n_codebooks : spec.codec.n_codebooks; }

  // Errors: kUnsupported when the checkpoint is a codec alone.
  LanguageModel& need_language_model() const;
  // Errors: kNotFound with the name of the missing file.
  const Tokenizer& need_tokenizer() const;
};

}  // namespace csm
