#include "watermark_key.h"

#include <csm/error.h>
#include <fmt/format.h>

#include <cstdlib>

namespace csm::app {

uint32_t parse_payload(const std::string& text) {
  const bool prefixed = text.rfind("0x", 0) == 0 || text.rfind("0X", 0) == 0;
  const std::string digits = prefixed ? text.substr(2) : text;
  if (digits.empty() || digits.size() > 8 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a watermark's payload: expected 1 to 8 hexadecimal digits, found '{}'", text));
  }
  return static_cast<uint32_t>(std::strtoul(digits.c_str(), nullptr, 16));
}

WatermarkKey watermark_key(const WatermarkSettings& settings) {
  if (!settings.key_file.empty()) return read_watermark_key(settings.key_file);
  const char* digits = std::getenv("CSM_WATERMARK_KEY_HEX");
  if (digits != nullptr && *digits != '\0') return parse_watermark_key(digits, "CSM_WATERMARK_KEY_HEX");
  return public_watermark_key();
}

WatermarkOptions watermark_options(const WatermarkSettings& settings) {
  WatermarkOptions options;
  options.enabled = settings.kind != "none";
  options.preset = parse_watermark_preset(settings.preset);
  if (!settings.payload.empty()) options.payload = parse_payload(settings.payload);
  return options;
}

Json watermark_json(const WatermarkStats& stats) {
  if (!stats.embedded) return {};
  return {{"key", stats.key_name},
          {"payload", fmt::format("{:08X}", stats.payload)},
          {"preset", to_string(stats.preset)},
          {"changed_share", stats.changed_share}};
}

}  // namespace csm::app
