// Settings of EngineOptions: which model, where it runs, in which types.
#include "byte_size.h"
#include "config/fields.h"

namespace csm::app {
namespace {

// The library's own check of one engine option.
template <typename Member>
std::function<void(const std::string&)> checked_by_engine(Member EngineOptions::*member) {
  return [member](const std::string& value) {
    EngineOptions options;
    options.model = "any";
    options.*member = value;
    options.validate();
  };
}

Field dtype_field() {
  return {.section = "engine",
          .name = "dtype",
          .binding = bind([](Settings& s) -> auto& { return s.engine.dtype; }),
          .choices = {"auto", "f32", "f16", "bf16"},
          .type = "TYPE",
          .help = "Arithmetic type: auto, f32, f16, bf16",
          .commands = kSpeakers};
}

// csm trace is for comparing with others, so what the usual settings say does not hold for it.
Field trace_dtype_field() {
  Field field = dtype_field();
  field.section = "trace";
  field.name = "trace-dtype";
  field.flag = "--dtype";
  field.fallback = "f32";
  field.commands = {"trace"};
  return field;
}

void add_place_fields(std::vector<Field>& table) {
  table.push_back({.section = "engine",
                   .name = "model",
                   .letter = 'm',
                   .binding = bind([](Settings& s) -> auto& { return s.engine.model; }),
                   .is_path = true,
                   .type = "PATH|NAME",
                   .help = "Model directory or file, or a name on the hub: owner/name[@revision]",
                   .unset = "the bundled model",
                   .commands = kModelReaders});
  table.push_back({.section = "engine",
                   .name = "backend",
                   .binding = bind([](Settings& s) -> auto& { return s.engine.backend; }),
                   .suggestions = {"auto", "ggml", "mlx"},
                   .check = checked_by_engine(&EngineOptions::backend),
                   .type = "NAME",
                   .help = "What does the arithmetic; `csm doctor` lists them",
                   .commands = kCodecUsers});
  table.push_back({.section = "engine",
                   .name = "device",
                   .binding = bind([](Settings& s) -> auto& { return s.engine.device; }),
                   .suggestions = {"auto", "cpu"},
                   .type = "NAME",
                   .help = "cpu, or a device that `csm doctor` lists",
                   .aliases = {{.flag = "--cpu-only", .fixed = "cpu"}},
                   .commands = kCodecUsers});
  table.push_back({.section = "engine",
                   .name = "threads",
                   .letter = 't',
                   .binding = bind([](Settings& s) -> auto& { return s.engine.n_threads; }),
                   .range = from(0).to(1024),
                   .type = "N",
                   .help = "Threads; 0 = one for each physical core",
                   .aliases = {{.flag = "--n-threads"}},
                   .commands = kCodecUsers});
}

}  // namespace

void add_engine_fields(std::vector<Field>& table) {
  add_place_fields(table);
  table.push_back(dtype_field());
  table.push_back(trace_dtype_field());
  table.push_back({.section = "engine",
                   .name = "quantize",
                   .binding = bind([](Settings& s) -> auto& { return s.engine.quantize; }),
                   .suggestions = {"q8_0", "q6_K", "q5_K", "q4_K", "q4_0", "iq4_nl"},
                   .check = checked_by_engine(&EngineOptions::quantize),
                   .type = "TYPES",
                   .help = "q8_0, q6_K, q5_K, q4_K, q4_0, iq4_nl; or by part: backbone=q8_0,depth=q6_K",
                   .unset = "off",
                   .commands = kLanguageModelUsers});
  table.push_back({.section = "engine",
                   .name = "codec-dtype",
                   .binding = bind([](Settings& s) -> auto& { return s.engine.codec_dtype; }),
                   .choices = {"f32", "f16"},
                   .type = "TYPE",
                   .help = "Arithmetic type of the codec: f32, f16",
                   .commands = kCodecUsers});
  table.push_back({.section = "engine",
                   .name = "kv-type",
                   .binding = bind([](Settings& s) -> auto& { return s.engine.kv_type; }),
                   .choices = {"auto", "f32", "f16", "q8_0"},
                   .type = "TYPE",
                   .help = "Type of the backbone's memory: auto (f32, or what --memory-limit leaves), f32, f16, q8_0",
                   .aliases = {{.flag = "--kv-cache-type"}, {.flag = "--cache-type"}},
                   .commands = kLanguageModelUsers});
  table.push_back({.section = "engine",
                   .name = "memory-limit",
                   .binding = bind([](Settings& s) -> auto& { return s.memory_limit; }),
                   .suggestions = {"2G"},
                   .check = [](const std::string& value) { parse_bytes(value); },
                   .type = "SIZE",
                   .help = "Keep within 2G, 800M or 1.5GiB: decides the window and the type of the backbone's memory",
                   .unset = "none",
                   .commands = kSpeakers});
  table.push_back({.section = "engine",
                   .name = "prefix-cache",
                   .binding = bind([](Settings& s) -> auto& { return s.engine.prefix_cache_sequences; }),
                   .range = from(0).to(1024),
                   .type = "N",
                   .help = "Prompts kept in memory, so that those that begin alike are not computed again; 0 = off",
                   .commands = kSpeakers});
}

}  // namespace csm::app
