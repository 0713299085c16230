#include "engine/gguf_model.h"

#include <algorithm>
#include <filesystem>

#include "base/fail.h"
#include "engine/gguf_published.h"
#include "engine/loader.h"
#include "io/json.h"
#include "model/gguf_keys.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxConfigBytes = size_t{4} << 20;
constexpr size_t kMaxListed = 8;

// A JSON text of the metadata.
nlohmann::json read_json(const GgufFile& file, const char* key) {
  const std::string_view text = file.text(key);
  const std::string where = fmt::format("{} ({})", file.where, key);
  if (text.size() > kMaxConfigBytes) {
    fail(ErrorCode::kInvalidData, "'{}' has {} bytes; expected at most {}", where, text.size(), kMaxConfigBytes);
  }
  return parse_json(text, where);
}

ModelSpec read_spec(const GgufFile& file) {
  ModelSpec spec = parse_model_spec(read_json(file, gguf::kConfig), fmt::format("{} ({})", file.where, gguf::kConfig));
  if (file.find(gguf::kGenerationConfig) != nullptr) {
    apply_generation_config(spec, read_json(file, gguf::kGenerationConfig),
                            fmt::format("{} ({})", file.where, gguf::kGenerationConfig));
  }
  return spec;
}

std::string_view need_bytes(const GgufValue& value, const std::string& where) {
  if (value.type == GgufType::kArray && value.element_type == GgufType::kU8) return value.bytes;
  fail(ErrorCode::kInvalidData, "'{}': key {} must be u8[]; found {}", where, gguf::kTokenizerModel, value.describe());
}

GgufFile open_ours(const std::string& path) {
  GgufFile file = read_gguf(path);
  if (is_our_gguf(file)) return file;
  const GgufValue* architecture = file.find(gguf::kArchitecture);
  fail(ErrorCode::kUnsupported,
       "'{}' is a GGUF file of another kind (architecture {}); expected one that `csm convert` wrote, or the three files {}, {} and {} "
       "in one directory",
       path, architecture == nullptr ? "not given" : architecture->describe(), kPublishedNames[0], kPublishedNames[1],
       kPublishedNames[2]);
}

// The set of three, all of which must be there.
std::vector<std::string> published_set(const fs::path& directory, const std::vector<std::string>& names) {
  std::vector<std::string> files;
  for (const char* name : kPublishedNames) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      fail(ErrorCode::kNotFound, "'{}' lacks {}; the published set has three files: {}, {} and {}", directory.string(), name,
           kPublishedNames[0], kPublishedNames[1], kPublishedNames[2]);
    }
    files.push_back((directory / name).string());
  }
  return files;
}

std::vector<std::string> choose_files(const fs::path& path, const fs::path& directory, const std::vector<std::string>& names) {
  const bool is_named = is_gguf_name(path.filename().string());
  if (is_named && !is_published_name(path.filename().string())) return {path.string()};
  const bool has_published = std::any_of(names.begin(), names.end(), is_published_name);
  if (is_named || has_published) return published_set(directory, names);
  std::vector<std::string> found;
  for (const std::string& name : names) {
    if (is_gguf_name(name)) found.push_back(name);
  }
  if (found.size() > 1) {
    const auto listed = static_cast<std::ptrdiff_t>(std::min(found.size(), kMaxListed));
    fail(ErrorCode::kInvalidData, "'{}' holds several GGUF files ({}); name the one to use", directory.string(),
         fmt::join(found.begin(), found.begin() + listed, ", "));
  }
  return {(directory / found.at(0)).string()};
}

}  // namespace

bool is_gguf_name(const std::string& name) { return fs::path(name).extension() == ".gguf"; }

bool is_published_name(const std::string& name) {
  return std::find(std::begin(kPublishedNames), std::end(kPublishedNames), name) != std::end(kPublishedNames);
}

bool is_our_gguf(const GgufFile& file) {
  const GgufValue* architecture = file.find(gguf::kArchitecture);
  return architecture != nullptr && architecture->text() == std::string_view(gguf::kOurArchitecture) &&
         file.find(gguf::kConfig) != nullptr;
}

void find_gguf_model(const std::string& path, const std::vector<std::string>& names, ModelFiles& files) {
  files.gguf = choose_files(path, files.directory, names);
  files.weights = files.gguf;
  if (files.gguf.size() > 1) {
    find_published_companions(names, files);
    return;
  }
  const GgufFile file = open_ours(files.gguf.front());
  const bool has_tokenizer = file.find(gguf::kTokenizer) != nullptr || file.find(gguf::kTokenizerModel) != nullptr;
  files.tokenizer = has_tokenizer ? files.gguf.front() : "";
}

ModelSpec read_gguf_spec(const ModelFiles& files) {
  return files.gguf.size() > 1 ? read_published_spec(files) : read_spec(open_ours(files.gguf.front()));
}

std::shared_ptr<const Checkpoint> load_gguf_checkpoint(const ModelFiles& files, WeightCheck check) {
  if (files.gguf.size() > 1) return load_published_checkpoint(files, check);
  GgufFile file = open_ours(files.gguf.front());
  const int format = file.integer(gguf::kFormat, 1, 1 << 30);
  if (format > static_cast<int>(gguf::kOurFormat)) {
    fail(ErrorCode::kUnsupported, "'{}' has format {}, which a newer csm wrote; this one reads up to {}", file.where, format,
         gguf::kOurFormat);
  }
  ModelSpec spec = read_spec(file);
  return Checkpoint::create(std::move(spec), std::move(file.tensors), file.where, check);
}

std::unique_ptr<Tokenizer> load_gguf_tokenizer(const ModelFiles& files, int n_rows) {
  if (files.gguf.size() > 1) return load_published_tokenizer(files, n_rows);
  const GgufFile file = open_ours(files.gguf.front());
  if (const GgufValue* model = file.find(gguf::kTokenizerModel)) {
    return Tokenizer::parse_model(need_bytes(*model, file.where), fmt::format("{} ({})", file.where, gguf::kTokenizerModel), n_rows);
  }
  return Tokenizer::parse_json(file.text(gguf::kTokenizer), fmt::format("{} ({})", file.where, gguf::kTokenizer));
}

}  // namespace csm
