// What a checkpoint is: shapes, names and constants, all read from its configuration. Nothing here has a model's fact as
// a default: a field is zero until it was read, and validation names the field in its error.
//
// Place in the flow: config.json -> ModelSpec -> checkpoint, prompt, backends. Immutable values after load.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include <csm/speech.h>

namespace csm {

// Rotary position embedding (RoFormer), optionally with Llama-3.1 frequency scaling.
struct RopeSpec {
  double theta = 0;
  bool llama3 = false;
  double factor = 0;
  double low_freq_factor = 0;
  double high_freq_factor = 0;
  double original_max_positions = 0;
};

// Angle per position of each pair: [head_dim / 2].
std::vector<double> rope_frequencies(const RopeSpec& rope, int head_dim);

struct TransformerSpec {
  int n_layers = 0;
  int width = 0;
  int n_heads = 0;
  int n_kv_heads = 0;
  int head_dim = 0;
  int ffn_width = 0;
  double norm_eps = 0;
  RopeSpec rope;
};

// Mimi.
struct CodecSpec {
  int sample_rate_hz = 0;
  int n_filters = 0;                 // SEANet channels at the sample rate
  int kernel_size = 0;               // first convolution of both halves
  int last_kernel_size = 0;
  int residual_kernel_size = 0;
  int compress = 0;                  // residual blocks are 1 / compress as wide inside
  std::vector<int> upsampling_ratios;  // decoder order
  TransformerSpec transformer;       // encoder and decoder are alike; width = latent width
  int window = 0;                    // sliding attention window in 25 Hz steps
  int n_codebooks = 0;
  int n_semantic_codebooks = 0;      // always 1 for Mimi
  int codebook_size = 0;
  int codebook_dim = 0;              // entry width (vector_quantization_hidden_dimension)

  int hop_samples() const;     // product of the ratios
  int frame_samples() const;   // 2 x hop: samples per frame
  double frame_rate_hz() const;
};

struct ModelSpec {
  bool has_language_model = false;  // false: a codec-only checkpoint
  TransformerSpec backbone;
  TransformerSpec depth;
  int n_codebooks = 0;        // codes per frame that the language model speaks
  int audio_vocab = 0;        // logits per codebook (codec entries + specials)
  int text_vocab = 0;
  int max_positions = 0;      // window of the backbone
  bool tied_audio_embeddings = true;
  int text_bos_id = -1;
  int text_eos_id = -1;       // -1: the token <|end_of_text|> of the tokenizer
  CodecSpec codec;

  // From generation_config.json.
  SamplingOptions backbone_sampling;
  SamplingOptions depth_sampling;
  int max_new_frames = 0;     // 0: not given

  // Ids that no codebook entry answers to start here; they are never sampled.
  int n_valid_codes() const { return codec.codebook_size < audio_vocab ? codec.codebook_size : audio_vocab; }
};

// Reads and validates config.json, in both forms of 2025 and of transformers 5, of a CSM model, of the original Sesame
// checkpoint (flavours), or of Mimi alone. `where` is the path for messages.
// Errors: kInvalidData with field, range and value; kUnsupported for another model, activation, rope type...
ModelSpec parse_model_spec(const nlohmann::json& config, const std::string& where);

// Adds the sampling defaults of generation_config.json.
void apply_generation_config(ModelSpec& spec, const nlohmann::json& config, const std::string& where);

}  // namespace csm
