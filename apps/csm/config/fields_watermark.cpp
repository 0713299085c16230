// Settings of the watermark. SpeechRequest's own defaults say what holds without them.
#include <csm/silentcipher.h>

#include "config/fields.h"
#include "watermark_key.h"

namespace csm::app {

void add_watermark_fields(std::vector<Field>& table) {
  const std::vector<std::string> markers = {"speak", "script", "batch", "chat", "watermark add"};
  table.push_back({.section = "marking",
                   .name = "watermark",
                   .binding = bind([](Settings& s) -> auto& { return s.watermark.kind; }),
                   .choices = {"csm", "silentcipher", "both", "none"},
                   .type = "KIND",
                   .help = "What marks the speech as synthetic: csm's own mark, SilentCipher's on the finished speech, both, or none",
                   .aliases = {{.flag = "--no-watermark", .fixed = "none"}},
                   .commands = kSpeakers});
  table.push_back({.section = "marking",
                   .name = "watermark-preset",
                   .binding = bind([](Settings& s) -> auto& { return s.watermark.preset; }),
                   .choices = {"quiet", "normal", "strong"},
                   .type = "NAME",
                   .help = "How strong: what is gained in robustness is lost in fidelity",
                   .commands = markers});
  table.push_back({.section = "marking",
                   .name = "watermark-payload",
                   .binding = bind([](Settings& s) -> auto& { return s.watermark.payload; }),
                   .check = [](const std::string& text) { parse_payload(text); },
                   .type = "HEX",
                   .help = "The 32 bits that it carries",
                   .unset = "those of csm itself",
                   .commands = markers});
  table.push_back({.section = "marking",
                   .name = "watermark-key",
                   .binding = bind([](Settings& s) -> auto& { return s.watermark.key_file; }),
                   .is_path = true,
                   .type = "FILE",
                   .help = "File of a secret key; csm watermark key makes one",
                   .unset = "the digits in CSM_WATERMARK_KEY_HEX, or the public key",
                   .commands = {"speak", "script", "batch", "chat", "watermark add", "watermark detect", "watermark read"}});
  table.push_back({.section = "marking",
                   .name = "silentcipher-weights",
                   .binding = bind([](Settings& s) -> auto& { return s.watermark.silentcipher_weights; }),
                   .type = "DIR",
                   .help = "Directory with SilentCipher's enc_c.ckpt, dec_c.ckpt and dec_m_0.ckpt",
                   .unset = "what csm pull silentcipher fetches",
                   .commands = {"speak", "watermark add", "watermark detect", "watermark read"}});
  table.push_back({.section = "marking",
                   .name = "silentcipher-message",
                   .binding = bind([](Settings& s) -> auto& { return s.watermark.silentcipher_message; }),
                   .suggestions = {"D4D39238C9"},
                   .check = [](const std::string& text) { parse_silentcipher_message(text); },
                   .type = "HEX",
                   .help = "The five bytes that SilentCipher's mark carries",
                   .unset = "those of the reference CSM",
                   .commands = {"speak", "watermark add", "watermark detect"}});
}

}  // namespace csm::app
