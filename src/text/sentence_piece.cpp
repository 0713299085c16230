#include "text/sentence_piece.h"

#include <sentencepiece_processor.h>

#include <unordered_map>

#include "base/fail.h"
#include "text/added_tokens.h"
#include "text/sentence_piece_file.h"
#include "text/text_check.h"

namespace csm {
namespace {

// Rules may make a text 64 times as long, and the library notes where each byte came from.
constexpr size_t kMaxTextBytes = size_t{1} << 20;

using Processor = sentencepiece::SentencePieceProcessor;

enum class DummyPrefix { kNo, kYes };

std::unique_ptr<Processor> make_processor(SentencePieceModel model, const std::string& where, DummyPrefix prefix) {
  model.add_dummy_prefix = prefix == DummyPrefix::kYes;
  auto processor = std::make_unique<Processor>();
  const auto status = processor->LoadFromSerializedProto(to_protobuf(model));
  if (!status.ok()) fail(ErrorCode::kInvalidData, "'{}': libsentencepiece does not take this model: {}", where, status.message());
  return processor;
}

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(SentencePieceModel model, const std::string& where) {
    const bool starts_with_blank = model.add_dummy_prefix;
    plain_ = make_processor(model, where, DummyPrefix::kNo);
    blank_ = make_processor(model, where, DummyPrefix::kYes);
    start_ = starts_with_blank ? blank_.get() : plain_.get();
    strips_ = model.remove_extra_whitespaces;
    for (size_t i = 0; i < model.pieces.size(); ++i) {
      const auto id = static_cast<int32_t>(i);
      const SentencePiece& piece = model.pieces[i];
      const bool is_control = piece.type == PieceType::kControl;
      if (is_control && piece.text == model.bos_piece) bos_ = id;
      if (is_control && piece.text == model.eos_piece) eos_ = id;
      if (is_control || piece.type == PieceType::kUnknown) markers_.add({id, piece.text, false, false, false});
      ids_.emplace(piece.text, id);
      pieces_.push_back(piece.text);
    }
  }

  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    append(text, ids);
    return ids;
  }

  std::vector<int32_t> encode_with_special_tokens(std::string_view text) const override {
    std::vector<int32_t> ids;
    if (bos_ >= 0) ids.push_back(bos_);
    append(text, ids);
    if (eos_ >= 0) ids.push_back(eos_);
    return ids;
  }

  int n_ids() const override { return static_cast<int>(pieces_.size()); }
  int32_t bos_id() const override { return bos_; }
  int32_t eos_id() const override { return eos_; }

  int32_t id_of(std::string_view token) const override {
    const auto found = ids_.find(std::string(token));
    return found == ids_.end() ? -1 : found->second;
  }

  std::string printable(int32_t id) const override {
    return id >= 0 && id < n_ids() ? pieces_[static_cast<size_t>(id)] : "";
  }

 private:
  void append(std::string_view text, std::vector<int32_t>& ids) const {
    check_text(text, kMaxTextBytes);
    for (const TextPart& part : markers_.find(text)) {
      if (part.id >= 0) {
        ids.push_back(part.id);
        continue;
      }
      std::vector<int> found;
      const Processor& processor = part.text.data() == text.data() ? *start_ : middle(part.text);
      const auto status = processor.Encode(part.text, &found);
      if (!status.ok()) fail(ErrorCode::kInternal, "libsentencepiece cannot encode this text: {}", status.message());
      ids.insert(ids.end(), found.begin(), found.end());
    }
  }

  // Behind a marker there is a blank only where the text has one; the library strips that before it puts its own.
  const Processor& middle(std::string_view part) const { return strips_ && part.front() == ' ' ? *blank_ : *plain_; }

  std::unique_ptr<Processor> plain_;  // puts no blank in front
  std::unique_ptr<Processor> blank_;  // puts one there
  const Processor* start_;            // what the model does at the start of a text
  bool strips_ = true;
  AddedTokens markers_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<std::string> pieces_;
  int32_t bos_ = -1;
  int32_t eos_ = -1;
};

}  // namespace

std::unique_ptr<Tokenizer> make_sentence_piece_tokenizer(std::string_view bytes, const std::string& where) {
  return std::make_unique<SentencePieceTokenizer>(read_sentence_piece_model(bytes, where), where);
}

}  // namespace csm
