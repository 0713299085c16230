// A strict look at the header of a RIFF WAV file, before libsndfile sees it.
//
// libsndfile guesses a meaning for headers that contradict themselves; a voice prompt read with the wrong layout would
// be noise that nobody asked for. What real writers do is allowed: extra chunks, odd lengths, WAVE_FORMAT_EXTENSIBLE,
// and a data size that is 0xFFFFFFFF or past the end, as streaming writers leave it. No state; thread-safe.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace csm {

bool begins_with_riff(std::span<const std::byte> bytes);

// Throws kInvalidData (damaged) or kUnsupported (a codec that is not read). `where` names the bytes in errors.
void check_riff_wave(std::span<const std::byte> bytes, const std::string& where);

}  // namespace csm
