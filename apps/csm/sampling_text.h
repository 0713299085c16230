// Schedules and biases as people write them.
//
// Place in the flow: the table of fields checks them with this, request.cpp reads them. Stateless. Errors:
// kInvalidArgument, one line.
#pragma once

#include <csm/speech.h>

#include <string>
#include <vector>

namespace csm::app {

// "0:0.9,7:0.4": CODEBOOK:VALUE, by rising codebook.
Schedule parse_schedule(const std::string& text);

// "12:-3,0@40:2.5,7:-inf": ID:VALUE for all codebooks, CODEBOOK@ID:VALUE for one.
std::vector<LogitBias> parse_logit_bias(const std::string& text);

}  // namespace csm::app
