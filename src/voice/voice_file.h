// The file of a voice: JSON, its codes as plain numbers, so that it can be read, compared and mended by hand.
//
//   {"format": "csm-voice", "version": 1, "name": "anna", "speaker": 0, "license": "CC0", "description": "",
//    "codec": {"sample_rate_hz": 24000, "frame_samples": 1920, "n_codebooks": 32, "fingerprint": [0.01, ...]},
//    "clips": [{"text": "Hello there.", "codes": [1, 2, ...]}]}      codes: frames x n_codebooks, row by row
//
// It may come from anyone: everything is checked, sizes first. Stateless; any thread.
#pragma once

#include <string>
#include <string_view>

#include <csm/voice.h>

namespace csm {

inline constexpr const char* kVoiceSuffix = ".csmvoice";

// where opens every message. Errors: kInvalidData.
Voice parse_voice(std::string_view text, const std::string& where);
std::string format_voice(const Voice& voice);

}  // namespace csm
