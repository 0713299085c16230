// Every format is written, read back, and compared; streamed = whole; sizes, tags, and what goes wrong.
#include <sndfile.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "audio/audio_io.h"
#include "audio/encoder.h"
#include "audio_test.h"

namespace csm::test {
namespace {

class Formats : public AudioTest {
 protected:
  AudioSummary write(const std::string& name, const std::vector<float>& samples, AudioOutputOptions options = {}) {
    return write_audio(path(name), {samples, 24'000}, options);
  }
  std::vector<float> read_raw(const std::string& name) {  // f32le
    const std::string bytes = read_bytes(path(name));
    std::vector<float> samples(bytes.size() / 4);
    std::memcpy(samples.data(), bytes.data(), samples.size() * 4);
    return samples;
  }
};

struct Lossless {
  const char* name;
  SampleFormat samples;
  double tolerance;
};

TEST_F(Formats, LosslessOnesKeepEachSample) {
  const std::vector<float> samples = clip("one_s");
  for (const Lossless& format : {Lossless{"a.wav", SampleFormat::kInt16, 0.51 / 32768},
                                 {"b.wav", SampleFormat::kInt24, 0.51 / 8388608},
                                 {"c.wav", SampleFormat::kInt32, 1e-9},
                                 {"d.wav", SampleFormat::kFloat32, 0},
                                 {"a.flac", SampleFormat::kInt16, 0.51 / 32768},
                                 {"b.flac", SampleFormat::kInt24, 0.51 / 8388608},
                                 {"a.aiff", SampleFormat::kInt24, 0.51 / 8388608},
                                 {"a.aif", SampleFormat::kFloat32, 0},
                                 {"a.au", SampleFormat::kInt16, 0.51 / 32768},
                                 {"a.caf", SampleFormat::kInt32, 1e-9},
                                 {"a.w64", SampleFormat::kInt24, 0.51 / 8388608},
                                 {"a.rf64", SampleFormat::kInt16, 0.51 / 32768}}) {
    SCOPED_TRACE(format.name);
    std::vector<float> scaled = samples;
    for (float& sample : scaled) sample *= 0.917f;  // off the grid of 16 bits
    AudioOutputOptions options;
    options.samples = format.samples;
    const AudioSummary summary = write(format.name, scaled, options);
    EXPECT_EQ(summary.n_samples, static_cast<int64_t>(scaled.size()));
    EXPECT_EQ(summary.n_clipped, 0);
    const Audio back = read_audio(path(format.name));
    EXPECT_EQ(back.sample_rate_hz, 24'000);
    ASSERT_EQ(back.samples.size(), scaled.size());
    EXPECT_LE(max_difference(back.samples, scaled), format.tolerance);
  }
}

TEST_F(Formats, LossyOnesKeepLengthAndLevel) {
  const std::vector<float> samples = tone(440, 0.5, 2);
  for (const char* name : {"a.ogg", "a.oga", "a.opus", "a.mp3"}) {
    SCOPED_TRACE(name);
    write(name, samples);
    const Audio back = read_audio(path(name));
    EXPECT_EQ(back.sample_rate_hz, 24'000);
    EXPECT_NEAR(static_cast<double>(back.samples.size()), static_cast<double>(samples.size()), 2 * 1152)
        << "codec delay";
    const std::vector<float> middle(back.samples.begin() + 6'000, back.samples.begin() + 42'000);
    EXPECT_NEAR(db(rms(middle)), db(0.5 / std::sqrt(2)), 0.3);
  }
}

TEST_F(Formats, RawSamplesAreBare) {
  const std::vector<float> samples = {0, 0.5f, -0.5f, 1, -1, 1.0f / 32768};
  write("a.s16le", samples);
  EXPECT_EQ(read_bytes(path("a.s16le")), std::string("\0\0\0\x40\0\xC0\xFF\x7F\0\x80\1\0", 12));
  write("a.raw", samples);
  EXPECT_EQ(read_bytes(path("a.raw")), read_bytes(path("a.s16le")));
  write("a.f32le", samples);
  EXPECT_EQ(read_raw("a.f32le"), samples);
  AudioOutputOptions options;
  options.samples = SampleFormat::kInt24;
  write("a.pcm", samples, options);
  write("a.s24le", samples);
  EXPECT_EQ(read_bytes(path("a.pcm")), read_bytes(path("a.s24le")));
  EXPECT_EQ(read_bytes(path("a.s24le")).size(), 18u);
  write("a.s32le", samples);
  EXPECT_EQ(little_endian(read_bytes(path("a.s32le")), 4), 0x40000000u);
}

TEST_F(Formats, FormatNameWinsOverTheEnding) {
  AudioOutputOptions options;
  options.format = "FLAC";
  EXPECT_EQ(write("odd.name", clip("short"), options).format, "flac");
  EXPECT_EQ(read_bytes(path("odd.name")).substr(0, 4), "fLaC");
  options.format = "wav";
  write("a.mp3", clip("short"), options);
  EXPECT_EQ(read_bytes(path("a.mp3")).substr(0, 4), "RIFF");
  EXPECT_EQ(write("UPPER.FLAC", clip("short")).format, "flac");
  EXPECT_EQ(write("no_ending", clip("short")).format, "wav");
}

TEST_F(Formats, EveryListedFormatIsWritten) {
  for (const AudioFormat& format : audio_output_formats()) {
    for (const std::string& extension : format.extensions) {
      EXPECT_EQ(write("each." + extension, clip("short")).format, format.name) << extension;
    }
    EXPECT_FALSE(format.text.empty());
  }
  EXPECT_EQ(audio_output_formats().size(), 15u);
}

TEST_F(Formats, BytesDoNotDependOnHowSamplesAreDivided) {
  const std::vector<float> samples = clip("three_s");
  AudioOutputOptions options;
  options.sample_rate_hz = 44'100;
  options.fade_in_seconds = 0.1;
  options.fade_out_seconds = 0.2;
  for (const char* name : {"wav", "flac", "mp3", "aiff", "opus", "f32le", "wav+loud", "wav+limit", "wav+dither"}) {
    SCOPED_TRACE(name);
    AudioOutputOptions each = options;
    each.format = std::string(name).substr(0, std::string(name).find('+'));
    if (std::string(name) == "wav+loud") each.loudness_lufs = -14;
    if (std::string(name) == "wav+limit") each.true_peak_db = -9;
    if (std::string(name) == "wav+dither") each.dither = Dither::kTriangular;
    write("whole", samples, each);
    const auto writer = AudioWriter::open(path("parts"), 24'000, each);
    for (size_t start = 0, step = 1; start < samples.size(); start += step, step = step * 2 % 4'099 + 1) {
      writer->push(std::span<const float>(samples).subspan(start, std::min(step, samples.size() - start)));
    }
    writer->finish();
    if (each.format == "opus") {  // Ogg streams carry a number drawn by chance
      EXPECT_EQ(read_audio(path("whole")).samples, read_audio(path("parts")).samples);
    } else {
      EXPECT_TRUE(read_bytes(path("whole")) == read_bytes(path("parts")));
    }
  }
}

TEST_F(Formats, WavSizesAreRight) {
  for (const SampleFormat format :
       {SampleFormat::kInt16, SampleFormat::kInt24, SampleFormat::kInt32, SampleFormat::kFloat32}) {
    AudioOutputOptions options;
    options.samples = format;
    const auto writer = AudioWriter::open(path("a.wav"), 24'000, options);
    for (int i = 0; i < 3; ++i) writer->push(clip("frame"));
    writer->finish();
    const std::string bytes = read_bytes(path("a.wav"));
    EXPECT_EQ(little_endian(bytes, 4), bytes.size() - 8);
    const size_t data = bytes.find("data");
    EXPECT_EQ(little_endian(bytes, data + 4), bytes.size() - data - 8);
    const size_t sample_bytes = format == SampleFormat::kInt16 ? 2 : format == SampleFormat::kInt24 ? 3 : 4;
    EXPECT_EQ(little_endian(bytes, data + 4), 3 * 1920 * sample_bytes);
  }
}

TEST_F(Formats, SinksWithAWayBackGetTheSameBytesAsFiles) {
  const std::vector<float> samples = clip("one_s");
  for (const char* format : {"wav", "flac", "mp3", "aiff", "caf", "rf64"}) {
    SCOPED_TRACE(format);
    AudioOutputOptions options;
    options.format = format;
    options.samples = SampleFormat::kInt24;
    write("file", samples, options);
    MemorySink sink(true);
    const auto writer = AudioWriter::open(sink, "memory", 24'000, options);
    writer->push(samples);
    writer->finish();
    EXPECT_TRUE(sink.bytes == read_bytes(path("file")));
  }
}

TEST_F(Formats, StreamsToAPipe) {
  const std::vector<float> samples = clip("one_s");
  for (const char* format : {"wav", "flac", "ogg", "opus", "mp3"}) {
    SCOPED_TRACE(format);
    AudioOutputOptions options;
    options.format = format;
    options.tags = {{"title", "Odd"}, {"artist", "Somebody"}};
    MemorySink sink(false);
    const auto writer = AudioWriter::open(sink, "memory", 24'000, options);
    writer->push(samples);
    if (std::string(format) == "wav") EXPECT_GT(sink.bytes.size(), 2 * samples.size()) << "samples go out as they come";
    writer->finish();
    const Audio back = read_audio_bytes(std::as_bytes(std::span(sink.bytes)), "memory");
    EXPECT_EQ(back.sample_rate_hz, 24'000);
    EXPECT_NEAR(static_cast<double>(back.samples.size()), static_cast<double>(samples.size()), 3 * 1152);
    if (std::string(format) == "flac") EXPECT_EQ(back.samples.size(), samples.size());
    if (std::string(format) != "wav") continue;
    EXPECT_EQ(little_endian(sink.bytes, 4), 0xFFFFFFFFu);
    EXPECT_EQ(little_endian(sink.bytes, sink.bytes.find("data") + 4), 0xFFFFFFFFu);
    EXPECT_NE(sink.bytes.find("INAM"), std::string::npos);
    EXPECT_EQ(back.samples, samples);
  }
  for (const char* format : {"aiff", "au", "caf", "w64", "rf64"}) {
    AudioOutputOptions options;
    options.format = format;
    MemorySink sink(false);
    EXPECT_ERROR(AudioWriter::open(sink, "standard output", 24'000, options), ErrorCode::kUnsupported,
                 "standard output");
    EXPECT_ERROR(check_audio_output(sink, "standard output", 24'000, options), ErrorCode::kUnsupported, "needs a file");
    EXPECT_TRUE(sink.bytes.empty());
  }
}

TEST_F(Formats, WavStreamHeaderIsTheOneOfPipes) {
  AudioOutputOptions options;
  for (const SampleFormat format : {SampleFormat::kInt16, SampleFormat::kInt24, SampleFormat::kFloat32}) {
    options.samples = format;
    const std::vector<float> samples = clip("short");
    MemorySink sink(false);
    const auto writer = AudioWriter::open(sink, "memory", 24'000, options);
    writer->push(samples);
    writer->finish();
    EXPECT_EQ(sink.bytes, wav_stream_header(24'000, format) + wav_sample_bytes(samples.data(), samples.size(), format));
    EXPECT_EQ(wav_stream_header(24'000, format).size(), 44u);
  }
}

std::string tag_of(const std::string& path, int id) {
  SF_INFO info{};
  SNDFILE* file = sf_open(path.c_str(), SFM_READ, &info);
  const char* text = file == nullptr ? nullptr : sf_get_string(file, id);
  const std::string value = text == nullptr ? "" : text;
  sf_close(file);
  return value;
}

// A tag that is accepted is there when the file is read; one that the container cannot hold is refused, never lost.
TEST_F(Formats, TagsAreKeptOrRefused) {
  const std::pair<const char*, int> names[] = {{"title", SF_STR_TITLE},       {"artist", SF_STR_ARTIST},
                                               {"album", SF_STR_ALBUM},       {"comment", SF_STR_COMMENT},
                                               {"software", SF_STR_SOFTWARE}, {"copyright", SF_STR_COPYRIGHT},
                                               {"license", SF_STR_LICENSE},   {"date", SF_STR_DATE},
                                               {"genre", SF_STR_GENRE},       {"track", SF_STR_TRACKNUMBER}};
  int n_kept = 0, n_refused = 0;
  for (const char* format : {"wav", "flac", "ogg", "opus", "mp3", "aiff", "caf", "rf64", "au", "w64", "raw"}) {
    for (const auto& [name, id] : names) {
      SCOPED_TRACE(std::string(format) + " " + name);
      AudioOutputOptions options;
      options.format = format;
      const std::string value = std::string(name) == "date" ? "2026" : std::string(name) == "track" ? "7" : "Grüße";
      options.tags = {{name, value}};
      try {
        write("tagged", clip("short"), options);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << error.what();
        ++n_refused;
        continue;
      }
      ++n_kept;
      EXPECT_EQ(tag_of(path("tagged"), id).substr(0, value.size()), value);
    }
  }
  EXPECT_GT(n_kept, 60);
  EXPECT_GT(n_refused, 30);
}

TEST_F(Formats, OpusAndMp3TakeTheNextRateTheyHave) {
  AudioOutputOptions options;
  options.sample_rate_hz = 44'100;
  EXPECT_EQ(write("a.opus", clip("one_s"), options).sample_rate_hz, 48'000);
  EXPECT_EQ(write("a.mp3", clip("one_s"), options).sample_rate_hz, 44'100);
  EXPECT_EQ(write("a.ogg", clip("one_s"), options).sample_rate_hz, 44'100);
  options.sample_rate_hz = 9'000;
  EXPECT_EQ(write("b.opus", clip("one_s"), options).sample_rate_hz, 12'000);
  options.sample_rate_hz = 96'000;
  EXPECT_EQ(write("b.mp3", clip("one_s"), options).sample_rate_hz, 48'000);
  EXPECT_EQ(read_audio(path("a.mp3")).sample_rate_hz, 44'100);
}

TEST_F(Formats, ClipsAndCounts) {
  const AudioSummary summary = write("a.wav", {0.5f, 1.5f, -2, 1, -1});
  EXPECT_EQ(summary.n_clipped, 2);
  EXPECT_EQ(read_audio(path("a.wav")).samples, (std::vector<float>{0.5f, 32767.0f / 32768, -1, 32767.0f / 32768, -1}));
}

TEST_F(Formats, ErrorsSayWhatExists) {
  const Audio sound{clip("short"), 24'000};
  const auto write_with = [&](const std::string& name, const AudioOutputOptions& options) {
    return [this, &sound, name, options] { write_audio(path(name), sound, options); };
  };
  AudioOutputOptions options;
  EXPECT_ERROR(write_with("a.mp4", options)(), ErrorCode::kUnsupported, "expected one of wav, flac, ogg, opus, mp3");
  options.format = "vorbix";
  EXPECT_ERROR(write_with("a.wav", options)(), ErrorCode::kUnsupported, "'vorbix'; expected one of wav");
  options = {};
  options.samples = SampleFormat::kFloat32;
  EXPECT_ERROR(write_with("a.flac", options)(), ErrorCode::kUnsupported, "no float samples");
  options.samples = SampleFormat::kInt32;
  EXPECT_ERROR(write_with("a.flac", options)(), ErrorCode::kUnsupported, "at most 24 bits");
  options = {};
  options.dither = Dither::kTriangular;
  EXPECT_ERROR(write_with("a.mp3", options)(), ErrorCode::kInvalidArgument, "dither");
  options = {};
  options.tags = {{"title", "x"}};
  EXPECT_ERROR(write_with("a.raw", options)(), ErrorCode::kUnsupported, "no place for the tag 'title'");
  EXPECT_ERROR(write_audio(path("a.wav"), Audio{{0}, 0}, AudioOutputOptions()), ErrorCode::kInvalidArgument, "0 Hz");
  EXPECT_ERROR(write_audio(path("a.wav"), Audio{{NAN}, 24'000}, AudioOutputOptions()), ErrorCode::kInvalidArgument,
               "not finite");
  EXPECT_ERROR(write_audio(path("no/a.wav"), sound, AudioOutputOptions()), ErrorCode::kIo, "does not exist");
  EXPECT_TRUE(files().empty()) << "nothing is left of what failed";
}

TEST_F(Formats, OptionsNameFieldAndRange) {
  const auto refused = [](const char* part, const auto& change) {
    AudioOutputOptions options;
    change(options);
    EXPECT_ERROR(options.validate(), ErrorCode::kInvalidArgument, part);
  };
  refused("sample_rate_hz: expected 8000 to 384000", [](auto& o) { o.sample_rate_hz = 7'999; });
  refused("sample_rate_hz", [](auto& o) { o.sample_rate_hz = -1; });
  refused("fade_in_seconds", [](auto& o) { o.fade_in_seconds = -0.1; });
  refused("fade_out_seconds", [](auto& o) { o.fade_out_seconds = 61; });
  refused("loudness_lufs", [](auto& o) { o.loudness_lufs = -4; });
  refused("loudness_lufs", [](auto& o) { o.loudness_lufs = std::nan(""); });
  refused("peak_db", [](auto& o) { o.peak_db = 1; });
  refused("true_peak_db", [](auto& o) { o.true_peak_db = 0.5; });
  refused("exclude each other", [](auto& o) { o.peak_db = -1, o.loudness_lufs = -16; });
  refused("no tag is called 'author'", [](auto& o) { o.tags = {{"author", "x"}}; });
  refused("given twice", [](auto& o) { o.tags = {{"title", "x"}, {"title", "y"}}; });
  refused("'title' must be", [](auto& o) { o.tags = {{"title", ""}}; });
}

TEST_F(Formats, WithoutFinishNothingAppears) {
  {
    const auto writer = AudioWriter::open(path("a.flac"), 24'000, {});
    writer->push(clip("one_s"));
    EXPECT_EQ(files().size(), 1u) << "a temporary file";
    EXPECT_NE(files()[0], "a.flac");
  }
  EXPECT_TRUE(files().empty());
}

TEST_F(Formats, NothingIsWrittenByAsking) {
  check_audio_output(path("a.opus"), 24'000, {});
  EXPECT_TRUE(files().empty());
  EXPECT_ERROR(check_audio_output(path("no/a.opus"), 24'000, {}), ErrorCode::kIo, "does not exist");
}

// A sink that is full, as a disk can be.
class FullSink : public MemorySink {
 public:
  FullSink() : MemorySink(false) {}
  void write(const void* data, size_t n_bytes) override {
    if (bytes.size() + n_bytes > 10'000) throw Error(ErrorCode::kIo, "no room");
    MemorySink::write(data, n_bytes);
  }
};

TEST_F(Formats, ErrorsOfTheSinkComeThrough) {
  for (const char* format : {"wav", "flac", "ogg", "opus", "mp3", "raw"}) {
    SCOPED_TRACE(format);
    AudioOutputOptions options;
    options.format = format;
    FullSink sink;
    const auto writer = AudioWriter::open(sink, "sink", 24'000, options);
    EXPECT_ERROR(
        {
          for (int i = 0; i < 10; ++i) writer->push(clip("three_s"));
          writer->finish();
        },
        ErrorCode::kIo, "no room");
  }
}

// Counts instead of keeping: 4 GiB need no disk.
class CountingSink : public SoundSink {
 public:
  void write(const void*, size_t n_bytes) override { position += n_bytes; }
  bool can_seek() const override { return true; }
  void seek(uint64_t offset) override { position = offset; }
  uint64_t position = 0;
};

TEST_F(Formats, WavEndsAt4GiBWithAWholeFile) {
  constexpr size_t kTooMany = size_t{1} << 30;  // of 4 bytes each; untouched pages take no memory
  void* pages =
      ::mmap(nullptr, kTooMany * sizeof(float), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  const std::span<const float> silence(static_cast<const float*>(pages), kTooMany);
  for (const char* format : {"wav", "aiff"}) {
    SCOPED_TRACE(format);
    CountingSink sink;
    EncoderSpec spec;
    spec.container = &choose_container(format, "");
    spec.format = sound_format(*spec.container, SampleFormat::kFloat32, "");
    spec.sample_rate_hz = 24'000;
    Encoder encoder(spec, sink, "cannot write 'long'");
    encoder.write(silence.first(100'000));
    EXPECT_ERROR(encoder.write(silence), ErrorCode::kResourceLimit, "ends at 4 GiB; use rf64");
    encoder.write(silence.first(100));
    encoder.finish();
    EXPECT_EQ(encoder.n_samples(), 100'100);
  }
  ::munmap(pages, kTooMany * sizeof(float));
}

}  // namespace
}  // namespace csm::test
