// Settings of what is written: the file and the words.
#include <csm/audio.h>

#include "config/fields.h"

namespace csm::app {
namespace {

Field output_field(const std::string& name, Binding binding, const std::string& type, const std::string& help) {
  Field field;
  field.section = "output";
  field.name = name;
  field.binding = std::move(binding);
  field.type = type;
  field.help = help;
  field.commands = kWriters;
  return field;
}

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const AudioFormat& format : audio_output_formats()) names.push_back(format.name);
  return names;
}

void check_format(const std::string& name) {
  AudioOutputOptions options;
  options.format = name;
  options.validate();
}

void add_format_fields(std::vector<Field>& table) {
  Field format = output_field("format", bind([](Settings& s) -> auto& { return s.output.format; }), "NAME",
                              "Kind of file: wav, flac, ogg, opus, mp3, aiff, raw ...; `csm doctor` lists them");
  format.suggestions = format_names();
  format.check = check_format;
  format.unset = "by the file name's ending, else wav";
  table.push_back(format);
  Field rate = output_field("sample-rate", bind([](Settings& s) -> auto& { return s.output.sample_rate_hz; }), "HZ",
                            "Sample rate of the file");
  rate.range = from(8'000).to(384'000);
  rate.suggestions = {"16000", "44100", "48000"};
  rate.unset = "the model's own";
  table.push_back(rate);
  Field bits = output_field("bits", bind([](Settings& s) -> auto& { return s.output.bits; }), "N",
                            "Bits of each sample: 16, 24, 32, or float");
  bits.choices = {"16", "24", "32", "float"};
  table.push_back(bits);
  Field is_float = output_field("float", bind([](Settings& s) -> auto& { return s.output.is_float; }), "",
                                "Write 32-bit float samples: the same as --bits float");
  is_float.instead_of = {"bits"};
  is_float.commands.push_back("watermark add");
  table.push_back(is_float);
  table.push_back(
      output_field("dither", bind([](Settings& s) -> auto& { return s.output.dither; }), "",
                   "Add triangular noise of one bit, so that rounding to integers does not colour quiet sound"));
}

void add_level_fields(std::vector<Field>& table) {
  Field loudness =
      output_field("loudness", bind([](Settings& s) -> auto& { return s.output.loudness_lufs; }), "LUFS",
                   "Bring the whole to this loudness (EBU R128), for instance -16; it is written at the end");
  loudness.range = from(-70).to(-5);
  loudness.suggestions = {"-16", "-23"};
  loudness.unset = "as it comes";
  loudness.instead_of = {"peak"};
  table.push_back(loudness);
  Field true_peak = output_field("true-peak", bind([](Settings& s) -> auto& { return s.output.true_peak_db; }), "DB",
                                 "Limit peaks, between the samples too, to this (dBTP)");
  true_peak.range = from(-20).to(0);
  true_peak.suggestions = {"-1"};
  true_peak.unset = "-1 with --loudness, else none";
  table.push_back(true_peak);
  Field peak = output_field("peak", bind([](Settings& s) -> auto& { return s.output.peak_db; }), "DB",
                            "Bring the largest sample to this (dBFS); it is written at the end");
  peak.range = from(-60).to(0);
  peak.suggestions = {"-1"};
  peak.unset = "as it comes";
  table.push_back(peak);
  Field fade_in = output_field("fade-in", bind([](Settings& s) -> auto& { return s.output.fade_in_seconds; }), "S",
                               "Seconds over which the beginning rises");
  fade_in.range = from(0).to(60);
  table.push_back(fade_in);
  Field fade_out = output_field("fade-out", bind([](Settings& s) -> auto& { return s.output.fade_out_seconds; }), "S",
                                "Seconds over which the end falls; a stream is late by them");
  fade_out.range = from(0).to(60);
  table.push_back(fade_out);
}

}  // namespace

void add_output_fields(std::vector<Field>& table) {
  add_format_fields(table);
  add_level_fields(table);
  Field quiet = output_field("quiet", bind([](Settings& s) -> auto& { return s.output.quiet; }), "",
                             "No progress and no summary");
  quiet.letter = 'q';
  quiet.commands = kSpeakers;
  table.push_back(quiet);
}

}  // namespace csm::app
