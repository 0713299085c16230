// SilentCipher's mark in what the program writes and reads.
//
// Place in the flow: settings -> here -> csm/silentcipher.h. Main thread.
#pragma once

#include <csm/silentcipher.h>

#include <memory>

#include "config/settings.h"
#include "output.h"

namespace csm::app {

// Whether the settings ask for it, alone or beside csm's own mark.
bool wants_silentcipher(const WatermarkSettings& settings);
// UsageError where SilentCipher is asked for and speech goes out piece by piece.
void refuse_silentcipher(const WatermarkSettings& settings, const char* command);

// The message of the settings, else the reference CSM's.
SilentCipherMessage silentcipher_message(const WatermarkSettings& settings);

// The weights of the directory that the settings name, else those of the hub, which are fetched when they are not in the cache. Errors:
// those of SilentCipher::open and locate_model.
std::shared_ptr<const SilentCipher> open_silentcipher(const WatermarkSettings& settings);

// Marks finished speech, first with SilentCipher, then with csm's own mark if both are asked for. Gives what csm's own mark did.
WatermarkStats mark_finished(const SilentCipher& cipher, const WatermarkSettings& settings, const WatermarkOptions& own, Audio& audio);

// For --json.
Json to_json(const SilentCipherFinding& finding, const SilentCipherMessage& message);
Json to_json(const SilentCipherReading& reading);

}  // namespace csm::app
