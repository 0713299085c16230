// The metadata of our GGUF files (docs/gguf.md). What a model directory holds in files besides its weights is in strings here.
//
// Place in the flow: convert writes them, the loader and inspect read them. Pure data.
#pragma once

#include <cstdint>

namespace csm::gguf {

inline constexpr const char* kArchitecture = "general.architecture";
inline constexpr const char* kOurArchitecture = "csm";
inline constexpr const char* kFormat = "csm.format";  // u32
inline constexpr uint32_t kOurFormat = 1;
inline constexpr const char* kConfig = "csm.config";                        // config.json
inline constexpr const char* kGenerationConfig = "csm.generation_config";  // generation_config.json
inline constexpr const char* kTokenizer = "csm.tokenizer";                  // tokenizer.json
inline constexpr const char* kTokenizerModel = "csm.tokenizer_model";       // u8[]: tokenizer.model, where there is no tokenizer.json
inline constexpr const char* kModelCard = "csm.model_card";                 // README.md
inline constexpr const char* kVersion = "csm.version";                      // of the program that wrote the file
inline constexpr const char* kDate = "csm.date";
inline constexpr const char* kTypes = "csm.types";                          // what --type asked for
inline constexpr const char* kSourceName = "csm.source.name";
inline constexpr const char* kSourceFiles = "csm.source.files";             // string[]
inline constexpr const char* kSourceHashes = "csm.source.sha256";           // string[], of those files

}  // namespace csm::gguf
