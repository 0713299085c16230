#include "engine/model_texts.h"

#include <filesystem>
#include <sstream>

#include "engine/gguf_published.h"
#include "engine/gguf_vocabulary.h"
#include "io/file.h"
#include "io/gguf.h"
#include "model/gguf_keys.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxConfigBytes = uint64_t{4} << 20;
constexpr uint64_t kMaxTokenizerBytes = uint64_t{256} << 20;
constexpr uint64_t kMaxCardBytes = uint64_t{4} << 20;

std::string read_if_named(const std::string& path, uint64_t max_bytes) { return path.empty() ? "" : read_text_file(path, max_bytes); }

std::string read_card(const std::string& directory) {
  const fs::path path = fs::path(directory) / "README.md";
  std::error_code error;
  return fs::is_regular_file(path, error) && fs::file_size(path, error) <= kMaxCardBytes ? read_text_file(path.string(), kMaxCardBytes) : "";
}

std::string text_or_empty(const GgufFile& file, const char* key) {
  const GgufValue* value = file.find(key);
  return value == nullptr ? "" : std::string(value->text().value_or(""));
}

ModelTexts read_own(const std::string& path) {
  const GgufFile file = read_gguf(path);
  const GgufValue* model = file.find(gguf::kTokenizerModel);
  return {text_or_empty(file, gguf::kConfig), text_or_empty(file, gguf::kGenerationConfig), text_or_empty(file, gguf::kTokenizer),
          model == nullptr ? "" : std::string(model->bytes), text_or_empty(file, gguf::kModelCard), text_or_empty(file, "general.license")};
}

std::string trimmed(std::string text) {
  const size_t begin = text.find_first_not_of(" \t\r\"'");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\"'") - begin + 1);
}

}  // namespace

std::string license_of(const std::string& model_card) {
  constexpr std::string_view kKey = "license:";
  std::istringstream lines(model_card);
  std::string line;
  if (!std::getline(lines, line) || trimmed(line) != "---") return "";
  while (std::getline(lines, line) && trimmed(line) != "---") {
    if (line.compare(0, kKey.size(), kKey) == 0) return trimmed(line.substr(kKey.size()));
  }
  return "";
}

ModelTexts read_model_texts(const ModelFiles& files) {
  if (files.gguf.size() == 1) return read_own(files.gguf.front());
  ModelTexts texts;
  texts.generation_config = read_if_named(files.generation_config, kMaxConfigBytes);
  texts.model_card = read_card(files.directory);
  texts.license = license_of(texts.model_card);
  const bool is_published = !files.gguf.empty();
  texts.config = is_published && files.config.empty() ? published_config(files) : read_text_file(files.config, kMaxConfigBytes);
  const bool has_vocabulary_only = is_published && files.tokenizer == files.gguf.front();
  std::string& tokenizer = is_tokenizer_model(files.tokenizer) ? texts.tokenizer_model : texts.tokenizer;
  tokenizer = has_vocabulary_only ? tokenizer_json(read_gguf(files.tokenizer)) : read_if_named(files.tokenizer, kMaxTokenizerBytes);
  return texts;
}

}  // namespace csm
