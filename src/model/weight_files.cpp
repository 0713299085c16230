#include "model/weight_files.h"

#include <algorithm>

#include "io/pytorch.h"

namespace csm {
namespace {

constexpr const char* kUsualNames[] = {"pytorch_model.bin", "ckpt.pt", "model.pt", "model.pth"};
constexpr std::string_view kTrainerStates[] = {"training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.bin", "scheduler.pt",
                                               "scaler.pt", "rng_state.pth"};

bool starts_with(std::string_view text, std::string_view head) { return text.substr(0, head.size()) == head; }

bool ends_with(std::string_view text, std::string_view tail) {
  return text.size() >= tail.size() && text.substr(text.size() - tail.size()) == tail;
}

}  // namespace

bool is_weight_name(std::string_view name) { return ends_with(name, ".safetensors") || is_pytorch_name(name); }

bool is_index_name(std::string_view name) {
  return ends_with(name, ".safetensors.index.json") || ends_with(name, ".bin.index.json");
}

bool is_codec_file(std::string_view name) {
  return is_weight_name(name) && (starts_with(name, "tokenizer-") || starts_with(name, "mimi"));
}

std::vector<std::string> pytorch_candidates(const std::vector<std::string>& names) {
  for (const char* usual : kUsualNames) {
    if (std::find(names.begin(), names.end(), usual) != names.end()) return {usual};
  }
  std::vector<std::string> found;
  for (const std::string& name : names) {
    const bool is_state = std::find(std::begin(kTrainerStates), std::end(kTrainerStates), name) != std::end(kTrainerStates);
    if (is_pytorch_name(name) && !is_codec_file(name) && !is_state) found.push_back(name);
  }
  return found;
}

}  // namespace csm
