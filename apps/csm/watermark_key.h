// Keys and payloads of the watermark, as the program gets and shows them.
//
// Place in the flow: settings and environment -> here -> csm/watermark.h. Main thread. A key comes from a file or from the
// environment, never from the command line, where other users of the machine could read it.
#pragma once

#include <csm/watermark.h>

#include <string>

#include "config/settings.h"
#include "output.h"

namespace csm::app {

// The key of the file that the settings name, else that of $CSM_WATERMARK_KEY_HEX (64 hexadecimal digits), else the public
// one. Errors: those of read_watermark_key and parse_watermark_key.
WatermarkKey watermark_key(const WatermarkSettings& settings);

// All options but the key.
WatermarkOptions watermark_options(const WatermarkSettings& settings);

// One to eight hexadecimal digits, 0x before them or not. Errors: kInvalidArgument.
uint32_t parse_payload(const std::string& text);

// What was embedded, for --json; null for nothing.
Json watermark_json(const WatermarkStats& stats);

}  // namespace csm::app
