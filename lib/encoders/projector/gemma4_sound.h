// What Gemma 4's two ways to hear share: the markers and the prompt.
#pragma once

#include "encoders/projector/sound.h"

namespace mtmd::encoders {

class Gemma4Hearing : public SoundProjector {
 protected:
  Gemma4Hearing(std::string_view type, const gguf::File& file, Device& device)
      : SoundProjector(type, file, device, {"<|audio>", "<audio|>"}) {}

 private:
  AudioPresets trained_prompts() const override {
    AudioPresets presets;
    presets.transcribe_prompt =
        "Transcribe the following speech segment in {language}. Follow these specific instructions for "
        "formatting the answer:\n* Only output the transcription, with no newlines.\n* When transcribing numbers, "
        "write the digits, i.e. write 1.7 and not one point seven, and write 3 instead of three.";
    presets.with_language = "{name} into {name} text", presets.any_language = "its original language";
    return presets;
  }
};

}  // namespace mtmd::encoders
