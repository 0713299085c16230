// What a model holds besides weights, as text, whatever files it lies in.
//
// Place in the flow: loader -> (here) -> convert. Stateless; any thread.
#pragma once

#include <string>

#include "engine/loader.h"

namespace csm {

struct ModelTexts {
  std::string config;             // config.json
  std::string generation_config;  // "" where there is none, as below
  std::string tokenizer;          // tokenizer.json
  std::string tokenizer_model;    // the bytes of tokenizer.model, where there is no tokenizer.json
  std::string model_card;         // README.md
  std::string license;            // as the model card's header names it: "apache-2.0"
};

// Errors: kInvalidData, kIo.
ModelTexts read_model_texts(const ModelFiles& files);

// The license of a model card: the value of `license:` between the lines "---" at its start; "" when it names none.
std::string license_of(const std::string& model_card);

}  // namespace csm
