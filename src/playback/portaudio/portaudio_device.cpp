#include "playback/portaudio/portaudio_device.h"

#include <dlfcn.h>
#include <portaudio.h>

#include "base/fail.h"

namespace csm {
namespace {

// ALSA and JACK, on which PortAudio stands on Linux, tell people on standard error what they did not find; this library
// does not print. They are asked for by name, since they are PortAudio's dependencies and not ours.
void say_nothing_alsa(const char*, int, const char*, int, const char*, ...) {}
void say_nothing_jack(const char*) {}

template <typename Function, typename Argument>
void call_in(const char* library, const char* name, Argument argument) {
  void* handle = ::dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return;
  if (void* function = ::dlsym(handle, name)) reinterpret_cast<Function>(function)(argument);
  ::dlclose(handle);
}

void silence_drivers() {
  using AlsaHandler = void (*)(const char*, int, const char*, int, const char*, ...);
  using JackHandler = void (*)(const char*);
  call_in<int (*)(AlsaHandler), AlsaHandler>("libasound.so.2", "snd_lib_error_set_handler", say_nothing_alsa);
  call_in<void (*)(JackHandler), JackHandler>("libjack.so.0", "jack_set_error_function", say_nothing_jack);
  call_in<void (*)(JackHandler), JackHandler>("libjack.so.0", "jack_set_info_function", say_nothing_jack);
}

PaStreamParameters parameters(int device) {
  PaStreamParameters output{};
  output.device = device;
  output.channelCount = 1;
  output.sampleFormat = paFloat32;
  output.suggestedLatency = Pa_GetDeviceInfo(device)->defaultHighOutputLatency;
  return output;
}

int give_block(const void*, void* output, unsigned long n_samples, const PaStreamCallbackTimeInfo*,
               PaStreamCallbackFlags, void* user) {
  auto& fill = *static_cast<PortAudioDevice::Fill*>(user);
  return fill(std::span<float>(static_cast<float*>(output), n_samples)) ? paContinue : paComplete;
}

}  // namespace

PortAudioDevice::PortAudioDevice() {
  silence_drivers();
  const PaError error = Pa_Initialize();
  if (error != paNoError) fail(ErrorCode::kIo, "cannot play: PortAudio does not start: {}", Pa_GetErrorText(error));
  device_ = Pa_GetDefaultOutputDevice();
  if (device_ != paNoDevice && Pa_GetDeviceInfo(device_)->maxOutputChannels > 0) return;
  Pa_Terminate();
  fail(ErrorCode::kNotFound,
       "cannot play: no sound card was found here; write a file with -o, or stream to another machine");
}

PortAudioDevice::~PortAudioDevice() {
  stop();
  Pa_Terminate();
}

void PortAudioDevice::stop() {
  if (stream_ == nullptr) return;
  Pa_AbortStream(stream_);
  Pa_CloseStream(stream_);
  stream_ = nullptr;
}

std::string PortAudioDevice::name() const { return Pa_GetDeviceInfo(device_)->name; }

int PortAudioDevice::own_rate_hz() const { return static_cast<int>(Pa_GetDeviceInfo(device_)->defaultSampleRate); }

bool PortAudioDevice::takes(int sample_rate_hz) const {
  const PaStreamParameters output = parameters(device_);
  return Pa_IsFormatSupported(nullptr, &output, sample_rate_hz) == paFormatIsSupported;
}

void PortAudioDevice::start(int sample_rate_hz, Fill fill) {
  fill_ = std::move(fill);
  const PaStreamParameters output = parameters(device_);
  PaError error = Pa_OpenStream(&stream_, nullptr, &output, sample_rate_hz, paFramesPerBufferUnspecified, paNoFlag,
                                give_block, &fill_);
  if (error == paNoError) error = Pa_StartStream(stream_);
  if (error != paNoError) {
    fail(ErrorCode::kIo, "cannot play on '{}' at {} Hz: {}", name(), sample_rate_hz, Pa_GetErrorText(error));
  }
}

bool PortAudioDevice::is_active() const { return stream_ != nullptr && Pa_IsStreamActive(stream_) == 1; }

}  // namespace csm
