// The codec alone: sound -> codes and codes -> sound.
//
// Place in the flow: context audio and Engine::encode / decode -> here -> Codec. Runs on the inference thread.
#pragma once

#include <csm/engine.h>

#include "base/cancel.h"
#include "engine/loaded_model.h"

namespace csm {

// Sound of any rate -> the first n_codebooks codes of each frame; 0 = all. Memory stays bounded for long sounds.
// Errors: kInvalidArgument (no samples, samples that are not finite, codebooks the codec lacks), kCancelled.
Codes encode_audio(LoadedModel& model, const Audio& audio, int n_codebooks, const CancelToken& cancel);

// How many frames encode_audio makes of a sound.
int64_t count_frames(const CodecSpec& codec, const Audio& audio);

// Codes -> samples, frame by frame as they are spoken, so that the same codes always give the same samples, bit for
// bit. Errors: kInvalidArgument for broken rows, codebooks or codes that the codec lacks.
Audio decode_codes(LoadedModel& model, const Codes& codes);

// The first n columns of codes. Errors: kInvalidArgument when they have fewer; `what` begins the message.
Codes first_codebooks(const Codes& codes, int n, const std::string& what);

}  // namespace csm
