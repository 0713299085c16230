// The watermark, ready to be measured: embedding by frames, and a search that finds nothing, which takes longest.
//
// Place in the flow: BenchSubject -> here -> csm/watermark.h. One thread.
#pragma once

#include <vector>

#include <csm/watermark.h>

namespace csm {

class MarkBench {
 public:
  MarkBench();

  static constexpr double kFrameSeconds = 0.08;
  static constexpr double kSearchedSeconds = 10;

  // Time for one frame: the mean of some that follow each other.
  double embed_ms();
  // Time for the search of kSearchedSeconds of sound with one key, payload unknown.
  double find_ms();

 private:
  Audio sound_;
  std::vector<float> marked_;
  WatermarkEmbedder embedder_;
};

}  // namespace csm
