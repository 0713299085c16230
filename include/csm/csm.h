// csm.cpp: conversational speech from C++. Include this one header; the parts stand alone too.
//
//   #include <csm/csm.h>
//   #include <cstdio>
//
//   int main() try {
//     csm::EngineOptions options;
//     options.model = csm::bundled_model_path();       // or any CSM checkpoint: a directory or file
//     const auto engine = csm::Engine::open(options);  // loads the weights once
//
//     csm::SpeechRequest request;
//     request.text = "Good morning.";
//     request.speaker = 0;
//     request.seed = 7;                                // the same seed, the same samples
//     const csm::SpeechResult first = engine->synthesize(request, {});
//     csm::write_audio("morning.wav", first.audio, csm::SampleFormat::kInt16);
//
//     // What was said becomes context: the next sentence keeps the voice, and answers.
//     request.context.push_back({request.speaker, request.text, std::nullopt, first.codes});
//     request.text = "How are you today?";
//
//     // Samples while the rest is still being made.
//     const auto stream = engine->start(request);
//     std::vector<float> samples;
//     while (stream->next(samples)) std::printf("%zu samples\n", samples.size());
//     const csm::SpeechStats stats = stream->result().stats;
//     std::printf("%.2f s of speech, first sound after %.0f ms\n", stats.audio_seconds, stats.first_audio_ms);
//     return 0;
//   } catch (const csm::Error& error) {                // bad input of any kind ends here, in one line
//     std::fprintf(stderr, "%s\n", error.what());
//     return 1;
//   }
//
// More of these in examples/, which are built and run with the tests.
#pragma once

#include <csm/audio.h>
#include <csm/bench.h>
#include <csm/cache.h>
#include <csm/context.h>
#include <csm/conversation.h>
#include <csm/convert.h>
#include <csm/engine.h>
#include <csm/error.h>
#include <csm/hub.h>
#include <csm/inspect.h>
#include <csm/playback.h>
#include <csm/speech.h>
#include <csm/tensors.h>
#include <csm/voice.h>
#include <csm/watermark.h>
