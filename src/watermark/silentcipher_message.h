// SilentCipher's message: five bytes as 20 symbols and an end mark, repeated frame by frame, and the rules that read them again.
//
// Place in the flow: silentcipher -> (here). Pure functions; any thread.
#pragma once

#include <csm/silentcipher.h>

#include <array>
#include <span>
#include <vector>

namespace csm::cipher {

inline constexpr int kCipherSymbols = 5;   // 0 is the end mark, 1 to 4 are two bits each
inline constexpr int kCipherTile = 21;     // 20 symbols, then the end mark

// Frame t carries the symbol [t % kCipherTile].
std::array<int, kCipherTile> cipher_symbols(const SilentCipherMessage& message);

// Symbols of the frames, one each -> the message, as the reference decides: the commonest symbol of each column of tiles, rotated so
// that the end mark comes last.
struct CipherVote {
  double score = 0;  // mean share of the commonest symbol in its column
  SilentCipherReading reading;
};
CipherVote vote(std::span<const int> symbols);

// How much better a message explains the frames than random ones do. logits: [frame][kCipherSymbols]. For a random message, the sum of
// its symbols' log-likelihoods has a mean and a variance that follow from the logits themselves, whatever the sound is; z counts in them,
// for the best of the 21 rotations.
double cipher_z(std::span<const float> logits, const SilentCipherMessage& message);

// The probability that the best of n random messages reaches z.
double cipher_chance(double z, int n_trials);

}  // namespace csm::cipher
