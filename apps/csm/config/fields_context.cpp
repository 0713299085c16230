// Settings of ContextOptions: which turns stay context when they do not all fit.
#include "config/fields.h"

namespace csm::app {

void add_context_fields(std::vector<Field>& table) {
  table.push_back({.section = "context",
                   .name = "context-strategy",
                   .binding = bind([](Settings& s) -> auto& { return s.context.strategy; }),
                   .choices = {"none", "recency", "importance", "hybrid"},
                   .type = "NAME",
                   .help = "Which turns are kept: none (all, or an error), recency, importance, hybrid",
                   .unset = "none; hybrid for a saved conversation and for chat",
                   .commands = kConversers});
  table.push_back({.section = "context",
                   .name = "context-compress",
                   .binding = bind([](Settings& s) -> auto& { return s.context.compress; }),
                   .choices = {"none", "head", "span", "text"},
                   .type = "NAME",
                   .help = "What stays of the other turns: none, or their text with the head of their sound, a span of it, no sound (text)",
                   .commands = kConversers});
  table.push_back({.section = "context",
                   .name = "context-compress-seconds",
                   .binding = bind([](Settings& s) -> auto& { return s.context.compress_seconds; }),
                   .range = above(0).to(3600),
                   .type = "S",
                   .help = "Sound that head and span keep",
                   .commands = kConversers});
  table.push_back({.section = "context",
                   .name = "context-window",
                   .binding = bind([](Settings& s) -> auto& { return s.context.window; }),
                   .range = from(1),
                   .type = "N",
                   .help = "Use fewer positions than the model has",
                   .unset = "all",
                   .commands = kConversers});
}

}  // namespace csm::app
