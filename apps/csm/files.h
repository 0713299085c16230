// Codes and prompts as the tensor files that `csm` exchanges.
//
// Place in the flow: csm/tensors.h <-> csm/speech.h and csm/engine.h values. Stateless.
#pragma once

#include <csm/engine.h>
#include <csm/speech.h>
#include <csm/tensors.h>

#include <string>

namespace csm::app {

// A tensor of a file that was read, with its number of dimensions checked. Errors: kInvalidData, naming the tensors
// found.
template <typename T>
const std::vector<T>& need_tensor(const TensorFile& file, const std::string& path, const std::string& name,
                                  const char* type, const char* shape, size_t rank);

// `codes` int32 [n_frames, n_codebooks]. Errors: those of read_tensors; kInvalidData for another layout.
Codes read_codes(const std::string& path);
Tensor codes_tensor(const Codes& codes);

// `frames` int32 and `mask` uint8, both [n_positions, n_codebooks + 1].
Prompt read_prompt(const std::string& path);
TensorFile prompt_file(const Prompt& prompt);

// Writes with signals held, so that no temporary file is left behind.
void write_tensor_file(const std::string& path, const TensorFile& file);

// The whole file at once, under its name only when it is on the disk; missing folders are made. Errors: kIo.
void write_text_file(const std::string& path, const std::string& text);

// An audio file, or "-" for a WAV on standard output.
void write_audio_file(const std::string& path, const Audio& audio, SampleFormat format);

// For "-": refuses to pour a WAV onto a terminal. Errors: UsageError.
void check_audio_on_stdout(const std::string& path);

// Refuses an output path before the work instead of after it.
void check_output_folder(const std::string& path);

}  // namespace csm::app
