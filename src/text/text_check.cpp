#include "text/text_check.h"

#include "base/fail.h"
#include "base/utf8.h"

namespace csm {

void check_text(std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    fail(ErrorCode::kInvalidArgument, "the text has {} bytes; expected at most {}; give it in parts", text.size(), max_bytes);
  }
  const size_t invalid = first_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    fail(ErrorCode::kInvalidArgument, "the text is not valid UTF-8 at byte {} (0x{:02X}); convert it to UTF-8", invalid,
         static_cast<unsigned char>(text[invalid]));
  }
}

}  // namespace csm
