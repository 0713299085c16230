// A digest that finds damage, at about the speed of memory: a changed bit, word or length gives another number. It is no
// defence against forgery.
//
// Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace csm {

uint64_t damage_digest(std::span<const std::byte> bytes);
uint64_t damage_digest(const std::string& text);

}  // namespace csm
