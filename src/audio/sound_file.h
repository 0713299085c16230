// A libsndfile handle that closes itself.
#pragma once

#include <sndfile.h>

#include <memory>

namespace csm {

struct CloseSound {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using SoundFile = std::unique_ptr<SNDFILE, CloseSound>;

}  // namespace csm
