// A conversation as a file: JSON with the codes of each turn in base64, so that it is one file and still can be read by people.
//
//   {"format": "csm-conversation", "version": 1,
//    "codec": {"n_codebooks": 32, "codebook_size": 2048, "sample_rate_hz": 24000, "frame_samples": 1920},
//    "turns": [{"speaker": 0, "text": "Hello.", "pinned": true, "generated": false, "n_frames": 25, "codes": "..."}]}
//
// codes: n_frames x n_codebooks unsigned 16-bit little-endian numbers, row-major, in base64 (RFC 4648); absent: text alone.
// Place in the flow: Conversation::save and load. Stateless; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <csm/conversation.h>

namespace csm {

// What codes mean depends on the codec that made them; this much of it can be compared.
struct CodecShape {
  int n_codebooks = 0;  // codes per frame
  int codebook_size = 0;
  int sample_rate_hz = 0;
  int frame_samples = 0;
};

std::string write_conversation(const std::vector<ConversationTurn>& turns, const CodecShape& shape);

// `where` (a path) opens every message. Errors: kInvalidData, kUnsupported.
std::vector<ConversationTurn> parse_conversation(std::string_view text, const CodecShape& shape, const std::string& where);

}  // namespace csm
