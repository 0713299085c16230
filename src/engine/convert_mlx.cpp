// Finds and reads a model, then lets src/convert write it for MLX.
#include <csm/convert.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/fail.h"
#include "convert/mlx_convert.h"
#include "engine/loader.h"
#include "engine/model_texts.h"
#include "io/file.h"
#include "io/json.h"

namespace csm {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxJsonBytes = uint64_t{4} << 20;
// Small files that belong to a model, copied as they are.
constexpr const char* kCompanions[] = {"tokenizer.json",         "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
                                       "generation_config.json", "processor_config.json", "preprocessor_config.json",
                                       "chat_template.jinja"};

DType parse_dtype(const std::string& text) {
  if (text == "f32") return DType::kF32;
  if (text == "f16") return DType::kF16;
  if (text == "bf16") return DType::kBF16;
  fail(ErrorCode::kInvalidArgument, "dtype is '{}'; expected f32, f16 or bf16", text);
}

int parse_bits(const std::string& text) {
  for (const char* known : {"8", "6", "4", "3"}) {
    if (text == known) return known[0] - '0';
  }
  fail(ErrorCode::kInvalidArgument,
       "quantize has '{}'; MLX's weights are of 8, 6, 4 or 3 bits, as in '4' or 'backbone=8,depth=6'", text);
}

void parse_quantize(const std::string& text, MlxFormat& format) {
  if (text.empty()) return;
  if (text.find('=') == std::string::npos) {
    format.backbone.bits = format.depth.bits = parse_bits(text);
    return;
  }
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string item = text.substr(begin, end - begin);
    const size_t equals = std::min(item.find('='), item.size());
    const std::string part = item.substr(0, equals);
    if (part != "backbone" && part != "depth") {
      fail(ErrorCode::kInvalidArgument, "quantize has '{}'; expected backbone=BITS or depth=BITS, separated by commas",
           item);
    }
    (part == "backbone" ? format.backbone : format.depth).bits =
        parse_bits(item.substr(std::min(equals + 1, item.size())));
    begin = end + 1;
  }
}

// All but the names.
MlxFormat parse_format(const MlxConvertOptions& options) {
  MlxFormat format;
  format.dtype = parse_dtype(options.dtype);
  parse_quantize(options.quantize, format);
  if (options.group_size != 32 && options.group_size != 64 && options.group_size != 128) {
    fail(ErrorCode::kInvalidArgument, "the group size is {}; expected 32, 64 or 128", options.group_size);
  }
  format.backbone.group_size = format.depth.group_size = options.group_size;
  return format;
}

MlxFormat parse_options(const MlxConvertOptions& options) {
  MlxFormat format = parse_format(options);
  if (options.names_file.empty()) return format;
  const nlohmann::json names = parse_json_file(options.names_file, kMaxJsonBytes);
  (void)JsonObject(names, options.names_file);
  for (const auto& [from, to] : names.items()) {
    if (!to.is_string()) fail(ErrorCode::kInvalidData, "'{}': '{}' must map to a name", options.names_file, from);
    format.names.emplace_back(from, to.get<std::string>());
  }
  // Where one beginning is the beginning of another, the longer one comes first.
  std::stable_sort(format.names.begin(), format.names.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  return format;
}

void copy_text(const fs::path& from, const fs::path& to) {
  const std::shared_ptr<const MappedFile> file = MappedFile::open(from.string());
  AtomicFile out(to.string());
  out.write(file->bytes().data(), file->bytes().size());
  out.commit();
}

void write_text(const std::string& text, const fs::path& to) {
  AtomicFile out(to.string());
  out.write(text);
  out.commit();
}

// text: of the model's config.json, which was parsed before.
void write_config(const std::string& text, const fs::path& to, const nlohmann::json& quantization) {
  nlohmann::ordered_json config = nlohmann::ordered_json::parse(text);
  config.erase("quantization");
  config.erase("quantization_config");
  if (!quantization.is_null()) config["quantization"] = config["quantization_config"] = quantization;
  write_text(config.dump(2) + "\n", to);
}

// The small files of a directory as they are; of a GGUF file, what it holds of them.
void write_companions(const ModelFiles& files, const ModelTexts& texts, const fs::path& directory) {
  if (!files.gguf.empty()) {
    if (!texts.tokenizer.empty()) write_text(texts.tokenizer, directory / "tokenizer.json");
    if (!texts.generation_config.empty()) write_text(texts.generation_config, directory / "generation_config.json");
    return;
  }
  for (const char* name : kCompanions) {
    const fs::path companion = fs::path(files.directory) / name;
    std::error_code error;
    if (fs::is_regular_file(companion, error)) copy_text(companion, directory / name);
  }
}

// A directory that takes its final name only when all is in it.
class PendingDirectory {
 public:
  explicit PendingDirectory(const std::string& path) : final_(path), pending_(path + ".partial") {
    std::error_code error;
    const bool is_free = !fs::exists(final_, error) || (fs::is_directory(final_, error) && fs::is_empty(final_, error));
    if (path.empty() || !is_free) {
      fail(ErrorCode::kInvalidArgument, "'{}' exists and is not an empty directory; give the name of a new one", path);
    }
    fs::remove_all(pending_, error);  // of a run that was killed
    fs::create_directories(pending_, error);
    if (error) fail(ErrorCode::kIo, "cannot make directory '{}': {}", pending_.string(), error.message());
  }
  ~PendingDirectory() {
    std::error_code error;
    if (!is_committed_) fs::remove_all(pending_, error);
  }
  PendingDirectory(const PendingDirectory&) = delete;
  PendingDirectory& operator=(const PendingDirectory&) = delete;

  const fs::path& path() const { return pending_; }
  void commit() {
    std::error_code error;
    fs::remove(final_, error);  // empty
    fs::rename(pending_, final_, error);
    if (error)
      fail(ErrorCode::kIo, "cannot give '{}' its final name '{}': {}", pending_.string(), final_.string(),
           error.message());
    is_committed_ = true;
  }

 private:
  fs::path final_;
  fs::path pending_;
  bool is_committed_ = false;
};

}  // namespace

void MlxConvertOptions::validate() const { (void)parse_format(*this); }

ConvertReport convert_to_mlx(const std::string& model, const std::string& directory, const MlxConvertOptions& options) {
  const MlxFormat format = parse_options(options);
  const ModelFiles files = find_model_files(model);
  const std::shared_ptr<const Checkpoint> checkpoint = load_checkpoint(files);
  if (!checkpoint->spec().has_language_model)
    fail(ErrorCode::kUnsupported, "'{}' is a codec alone; only CSM models are converted", model);
  const ModelTexts texts = read_model_texts(files);
  const std::vector<MlxPlanEntry> plan = mlx_plan(*checkpoint, format);
  const MlxProgress progress = [&](const std::string& tensor, uint64_t done, uint64_t total) {
    return !options.on_progress || options.on_progress({tensor, done, total});
  };
  PendingDirectory pending(directory);
  write_mlx_model(*checkpoint, format, (pending.path() / "model.safetensors").string(), progress);
  write_mlx_codec(*checkpoint, (pending.path() / "mimi.safetensors").string(), progress);
  write_config(texts.config, pending.path() / "config.json", mlx_quantization(plan));
  write_companions(files, texts, pending.path());
  ConvertReport report;
  report.n_tensors = static_cast<int>(plan.size());
  report.n_quantised = static_cast<int>(
      std::count_if(plan.begin(), plan.end(), [](const MlxPlanEntry& entry) { return entry.format.bits > 0; }));
  for (const char* name : {"model.safetensors", "mimi.safetensors"})
    report.n_bytes += fs::file_size(pending.path() / name);
  pending.commit();
  return report;
}

}  // namespace csm
