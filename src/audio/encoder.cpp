// libsndfile writes through callbacks into a SoundSink. Sinks without a way back get no corrected headers: what FLAC
// and MP3 would put there is optional, Ogg needs none, and WAV gets a header of our own before bare samples.
#include "audio/encoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "audio/audio_io.h"
#include "base/fail.h"

namespace csm {
namespace {

constexpr size_t kBlockSamples = 4'096;  // some of libsndfile's encoders take blocks of any size on the stack
constexpr int64_t kMaxBytes32 = 0xFFFFFFFF - (1 << 20);  // leaves room for headers and tags

struct TagName {
  const char* name;
  int id;
};
constexpr TagName kTagNames[] = {{"title", SF_STR_TITLE},       {"artist", SF_STR_ARTIST},
                                 {"album", SF_STR_ALBUM},       {"comment", SF_STR_COMMENT},
                                 {"software", SF_STR_SOFTWARE}, {"copyright", SF_STR_COPYRIGHT},
                                 {"license", SF_STR_LICENSE},   {"date", SF_STR_DATE},
                                 {"genre", SF_STR_GENRE},       {"track", SF_STR_TRACKNUMBER}};

// What has no place for a tag, beside the containers that hold none at all; libsndfile would leave these out without a
// word.
struct Gap {
  const char* container;
  const char* tags;
};
constexpr Gap kGaps[] = {{"wav", "license"},
                         {"rf64", "license"},
                         {"mp3", "software copyright license genre"},
                         {"aiff", "album software copyright license date genre track"}};

int tag_id(const std::string& name) {
  const auto* it =
      std::find_if(std::begin(kTagNames), std::end(kTagNames), [&](const TagName& tag) { return name == tag.name; });
  return it == std::end(kTagNames) ? 0 : it->id;
}

bool holds_tag(const Container& container, const std::string& tag) {
  if (!container.holds_tags) return false;
  for (const Gap& gap : kGaps) {
    const std::string missing = std::string(" ") + gap.tags + " ";
    if (std::strcmp(gap.container, container.name) == 0 && missing.find(" " + tag + " ") != std::string::npos)
      return false;
  }
  return true;
}

int integer_bits(int format) {
  switch (format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_16:
      return 16;
    case SF_FORMAT_PCM_24:
      return 24;
    case SF_FORMAT_PCM_32:
      return 32;
    default:
      return 0;
  }
}

bool is_wav(int format) { return (format & SF_FORMAT_TYPEMASK) == SF_FORMAT_WAV; }

// Two uniform numbers from a counter (the splitmix64 finaliser): their sum less one is triangular over (-1, 1).
double triangular_noise(int64_t index) {
  auto x = static_cast<uint64_t>(index + 1) * 0x9E3779B97F4A7C15;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  x ^= x >> 31;
  const auto uniform = [](uint64_t bits) { return (static_cast<double>(bits & 0xFFFFFFFF) + 0.5) / 4294967296.0; };
  return uniform(x) + uniform(x >> 32) - 1;
}

}  // namespace

bool is_tag_name(const std::string& name) { return tag_id(name) != 0; }

std::string tag_names() {
  std::string names;
  for (const TagName& tag : kTagNames) names += (names.empty() ? "" : ", ") + std::string(tag.name);
  return names;
}

void check_encoding(const EncoderSpec& spec, Seekable seekable, const std::string& where) {
  const Container& container = *spec.container;
  if (seekable == Seekable::kNo && !container.streams) {
    fail(ErrorCode::kUnsupported,
         "{}: {} needs a file, since its header is written last; stream wav, flac, ogg, opus, mp3 or raw", where,
         container.name);
  }
  if (spec.dither != Dither::kNone && integer_bits(spec.format) == 0) {
    fail(ErrorCode::kInvalidArgument, "{}: dither is for integer samples, and {} is written from floats", where,
         container.name);
  }
  for (const auto& [name, value] : spec.tags) {
    if (!holds_tag(container, name)) {
      fail(ErrorCode::kUnsupported, "{}: {} has no place for the tag '{}'", where, container.name, name);
    }
  }
  SF_INFO info{};
  info.channels = 1;
  info.samplerate = spec.sample_rate_hz;
  info.format = spec.format;
  if (sf_format_check(&info) == 0) {
    fail(ErrorCode::kUnsupported, "{}: this build's libsndfile cannot make {} at {} Hz", where, container.name,
         spec.sample_rate_hz);
  }
}

sf_count_t Encoder::length(void* user) { return static_cast<Bytes*>(user)->length; }

sf_count_t Encoder::tell(void* user) { return static_cast<Bytes*>(user)->position; }

sf_count_t Encoder::read(void*, sf_count_t, void*) { return 0; }

sf_count_t Encoder::seek(sf_count_t offset, int whence, void* user) {
  auto& bytes = *static_cast<Bytes*>(user);
  const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? bytes.position : bytes.length;
  if (base + offset >= 0) bytes.position = base + offset;
  return bytes.position;
}

sf_count_t Encoder::write(const void* data, sf_count_t n_bytes, void* user) {
  auto& bytes = *static_cast<Bytes*>(user);
  if (bytes.error || n_bytes < 0) return 0;
  const char* from = static_cast<const char*>(data);
  sf_count_t n_kept = n_bytes;
  sf_count_t at = bytes.position;
  if (!bytes.can_seek) {
    const sf_count_t n_early = std::clamp<sf_count_t>(bytes.length - at, 0, n_bytes);
    from += n_early;
    n_kept -= n_early;
    at += n_early;
  }
  try {
    if (bytes.can_seek && at != bytes.sink_position) bytes.sink->seek(static_cast<uint64_t>(at));
    if (n_kept > 0) bytes.sink->write(from, static_cast<size_t>(n_kept));
  } catch (...) {
    bytes.error = std::current_exception();
    return 0;
  }
  bytes.position += n_bytes;
  bytes.sink_position = bytes.position;
  bytes.length = std::max(bytes.length, bytes.position);
  return n_bytes;
}

Encoder::Encoder(EncoderSpec spec, SoundSink& sink, std::string where)
    : spec_(std::move(spec)),
      where_(std::move(where)),
      bytes_{&sink, sink.can_seek()},
      bits_(integer_bits(spec_.format)) {
  check_encoding(spec_, bytes_.can_seek ? Seekable::kYes : Seekable::kNo, where_);
  if (is_wav(spec_.format) && !bytes_.can_seek) {
    const std::string header = wav_pipe_header(spec_.sample_rate_hz, bits_ == 0 ? Coding::kFloat : Coding::kInteger,
                                               bits_ == 0 ? 32 : bits_, spec_.tags);
    sink.write(header.data(), header.size());
    spec_.format = SF_FORMAT_RAW | SF_ENDIAN_LITTLE | (spec_.format & SF_FORMAT_SUBMASK);
    spec_.tags.clear();
  }
  open();
}

// libsndfile still has bytes to write when it closes; after an error the sink may be one that no longer takes any.
Encoder::~Encoder() {
  if (file_ != nullptr) bytes_.error = std::make_exception_ptr(Error(ErrorCode::kCancelled, "abandoned"));
}

void Encoder::open() {
  SF_VIRTUAL_IO io{length, seek, read, write, tell};
  SF_INFO info{};
  info.channels = 1;
  info.samplerate = spec_.sample_rate_hz;
  info.format = spec_.format;
  file_.reset(sf_open_virtual(&io, SFM_WRITE, &info, &bytes_));
  if (file_ == nullptr && !bytes_.error) {
    fail(ErrorCode::kUnsupported, "{}: {} at {} Hz: {}", where_, spec_.container->name, spec_.sample_rate_hz,
         sf_strerror(nullptr));
  }
  if (file_ == nullptr) fail_encoding("");
  // The chunk carries the time of day: the same samples would give other bytes each second.
  sf_command(file_.get(), SFC_SET_ADD_PEAK_CHUNK, nullptr, SF_FALSE);
  set_tags();
}

void Encoder::set_tags() {
  for (const auto& [name, value] : spec_.tags) {
    const int error = sf_set_string(file_.get(), tag_id(name), value.c_str());
    if (error != 0) {
      fail(ErrorCode::kUnsupported, "{}: {} does not take the tag '{}': {}", where_, spec_.container->name, name,
           sf_error_number(error));
    }
  }
}

void Encoder::fail_encoding(const std::string& reason) {
  if (bytes_.error) std::rethrow_exception(bytes_.error);
  fail(ErrorCode::kIo, "{}: cannot encode {}: {}", where_, spec_.container->name, reason);
}

// libsndfile takes integers of any width in the upper bits of an int.
int Encoder::quantised(float sample) {
  const double noise = spec_.dither == Dither::kTriangular ? triangular_noise(n_samples_) : 0;
  return static_cast<int>(static_cast<uint32_t>(to_integer(static_cast<double>(sample), bits_, noise)) << (32 - bits_));
}

void Encoder::write_block(std::span<const float> block) {
  integers_.clear();
  floats_.clear();
  const bool keeps_all = (spec_.format & SF_FORMAT_SUBMASK) == SF_FORMAT_FLOAT;  // floats beyond 1 lose nothing
  for (const float sample : block) {
    if (std::fabs(sample) > 1) ++n_clipped_;
    if (bits_ > 0) {
      integers_.push_back(quantised(sample));
    } else {
      floats_.push_back(keeps_all ? sample : std::clamp(sample, -1.0f, 1.0f));
    }
    ++n_samples_;
  }
  const auto n = static_cast<sf_count_t>(block.size());
  const sf_count_t n_written =
      bits_ > 0 ? sf_writef_int(file_.get(), integers_.data(), n) : sf_writef_float(file_.get(), floats_.data(), n);
  if (n_written != n) fail_encoding(sf_strerror(file_.get()));
}

void Encoder::write(std::span<const float> samples) {
  const int64_t n_after = n_samples_ + static_cast<int64_t>(samples.size());
  if (spec_.container->sizes_are_32_bit && bytes_.can_seek && n_after * (bits_ == 0 ? 4 : bits_ / 8) > kMaxBytes32) {
    fail(ErrorCode::kResourceLimit, "{}: a {} file ends at 4 GiB; use rf64, w64, caf or flac for longer sound", where_,
         spec_.container->name);
  }
  for (size_t start = 0; start < samples.size(); start += kBlockSamples) {
    write_block(samples.subspan(start, std::min(kBlockSamples, samples.size() - start)));
  }
}

void Encoder::finish() {
  const std::string reason = sf_strerror(file_.get());
  const bool closed = sf_close(file_.release()) == 0;
  if (!closed || bytes_.error) fail_encoding(reason);
}

}  // namespace csm
