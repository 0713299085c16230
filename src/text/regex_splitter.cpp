// Split patterns that are not built in, through PCRE2. Files are written for Oniguruma (Ruby syntax): what the two read
// in the same way is taken as it is, \s is spelled out, and what they read differently is refused.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "base/fail.h"
#include "text/splitter.h"

namespace csm {
namespace {

struct PcreDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

template <typename T>
using Pcre = std::unique_ptr<T, PcreDeleter>;

constexpr size_t kMaxPatternBytes = 16'384;
constexpr uint32_t kMinMatchSteps = 10'000'000;
constexpr uint32_t kMaxMatchHeapKib = 512 * 1024;

template <typename T>
Pcre<T> checked(T* pointer) {
  if (pointer == nullptr)
    fail(ErrorCode::kResourceLimit, "out of memory while preparing the tokenizer's split pattern");
  return Pcre<T>(pointer);
}

std::string pcre_message(int code) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  fail(ErrorCode::kUnsupported,
       "'{}': the pre-tokenizer's split pattern {}; use the pattern of Llama 3 or a plain regular "
       "expression",
       where, what);
}

bool starts_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

// What may follow a backslash: classes that both libraries define alike, control characters, punctuation.
bool is_shared_escape(char c) {
  const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return !alphanumeric || std::string_view("pPsSdDrntfx").find(c) != std::string_view::npos;
}

// Groups: captures, (?:, lookaround, atomic, and the flag i. `rest` starts at the bracket.
bool is_shared_group(std::string_view rest) {
  if (!starts_with(rest, "(?")) return !starts_with(rest, "(*");
  for (const char* kind : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?i)", "(?-i:", "(?-i)"}) {
    if (starts_with(rest, kind)) return true;
  }
  return false;
}

// Intervals: "{,n}" is literal text to PCRE2; "{n}+" is possessive to PCRE2 and a repetition to Oniguruma.
bool is_shared_interval(std::string_view rest) {
  const size_t close = rest.find_first_not_of("0123456789,", 1);
  if (close == std::string_view::npos || rest[close] != '}') return true;  // literal text to both
  return !starts_with(rest, "{,") && !starts_with(rest.substr(close), "}+");
}

// The pattern for PCRE2. \s and \S become the property White_Space, since PCRE2's own \s has U+180E.
std::string translate(const std::string& pattern, const std::string& where) {
  std::string result;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    const std::string_view rest = std::string_view(pattern).substr(i);
    if (c == '\\' && rest.size() > 1) {
      const char escaped = pattern[++i];
      if (!is_shared_escape(escaped))
        refuse(where, fmt::format("uses \\{}, which regex libraries read differently", escaped));
      const bool space = escaped == 's' || escaped == 'S';
      result += space ? (escaped == 's' ? "\\p{White_Space}" : "\\P{White_Space}") : std::string{c, escaped};
      continue;
    }
    const bool odd_class =
        in_class ? c == '[' || starts_with(rest, "&&") : starts_with(rest, "[]") || starts_with(rest, "[^]");
    if (odd_class) refuse(where, "has a nested character class or '&&'");
    if (!in_class && c == '(' && !is_shared_group(rest))
      refuse(where, "has a group that regex libraries read differently");
    if (!in_class && c == '{' && !is_shared_interval(rest))
      refuse(where, "has an interval that regex libraries read differently");
    in_class = in_class ? c != ']' : c == '[';
    result += c;
  }
  return result;
}

class RegexSplitter : public Splitter {
 public:
  RegexSplitter(const std::string& pattern, std::string where) : where_(std::move(where)) {
    if (pattern.size() > kMaxPatternBytes) refuse(where_, fmt::format("is longer than {} bytes", kMaxPatternBytes));
    const std::string translated = translate(pattern, where_);
    const auto context = checked(pcre2_compile_context_create(nullptr));
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    int error = 0;
    PCRE2_SIZE error_offset = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &error_offset,
                              context.get()));
    if (code_ == nullptr) refuse(where_, fmt::format("does not compile ({})", pcre_message(error)));
  }

  void split(std::string_view text, std::vector<std::string_view>& pieces) const override {
    const auto context = checked(pcre2_match_context_create(nullptr));
    // Enough for any pattern that is linear in the text; one that explodes stops with an error instead of running on.
    pcre2_set_match_limit(context.get(),
                          static_cast<uint32_t>(std::clamp<size_t>(text.size() * 16, kMinMatchSteps, UINT32_MAX)));
    pcre2_set_heap_limit(context.get(), kMaxMatchHeapKib);
    const auto data = checked(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    size_t done = 0;  // pieces hold the text up to here
    for (size_t from = 0; from <= text.size();) {
      if (!find(text, from, context.get(), data.get())) break;
      const PCRE2_SIZE* match = pcre2_get_ovector_pointer(data.get());
      const size_t begin = match[0];
      const size_t end = match[1];
      if (begin > done) pieces.push_back(text.substr(done, begin - done));
      if (end > begin) pieces.push_back(text.substr(begin, end - begin));
      done = end;
      from = end > begin ? end : after_character(text, end);  // an empty match only cuts
    }
    if (done < text.size()) pieces.push_back(text.substr(done));
  }

 private:
  bool find(std::string_view text, size_t from, pcre2_match_context* context, pcre2_match_data* data) const {
    // The text was checked before: without this flag each call would check it again, from its beginning.
    const int result = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                   PCRE2_NO_UTF_CHECK, data, context);
    if (result == PCRE2_ERROR_NOMATCH) return false;
    if (result < 0) {
      fail(ErrorCode::kUnsupported,
           "'{}': the pre-tokenizer's split pattern failed on a text of {} bytes ({}); use a simpler "
           "pattern or a shorter text",
           where_, text.size(), pcre_message(result));
    }
    return true;
  }

  static size_t after_character(std::string_view text, size_t position) {
    ++position;
    while (position < text.size() && (static_cast<unsigned char>(text[position]) & 0xC0u) == 0x80u) ++position;
    return position;
  }

  std::string where_;
  Pcre<pcre2_code> code_;
};

}  // namespace

std::unique_ptr<Splitter> make_regex_splitter(const std::string& pattern, const std::string& where) {
  return std::make_unique<RegexSplitter>(pattern, where);
}

}  // namespace csm
