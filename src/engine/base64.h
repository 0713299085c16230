// Bytes as text: base64 of RFC 4648, with padding. Stateless; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace csm {

std::string to_base64(std::string_view bytes);
// nullopt when the text is not base64 in its one canonical form.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace csm
