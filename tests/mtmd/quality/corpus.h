// A text that the tests' models have a vocabulary for (they were made with it: shared/tools/make_text_model.py).
#pragma once

#include <string>

namespace mtmd::quality {

/// Three times the text.
inline std::string corpus() {
  const std::string once =
      "The small river turns around the old mill and then runs under the stone bridge to the sea.\n"
      "What is the capital of the northern islands? The answer depends on the year and on the author of the map.\n"
      "Please describe the picture: there are three boats, two children and a dog near the harbour wall.\n"
      "You are a helpful assistant. Translate the following sentence into another language and explain the words.\n"
      "for (int i = 0; i < n; i++) { sum += values[i] * weights[i]; } return sum / total;\n"
      "def area(width, height): return width * height  # the area of the rectangle in metres\n"
      "In 1984 there were 1200 houses, 35 shops and 7 schools; by 2024 there were 12345 houses and 678 shops.\n"
      "Der alte Mann und das Meer, die kleine Stadt am Fluss. Le petit chat dort sur la table avec les autres.\n"
      "Another thing that they wanted was to know whether the weather would change before the end of the week.\n";
  return once + once + once;
}

}  // namespace mtmd::quality
