// llama.cpp's users type `-ngl 0 -ctk f16`: one dash, several letters. CLI11 wants two.
#pragma once

#include <string>
#include <vector>

namespace mtmd::cli {

/// argv (without the program's name) with the known one-dash words spelled with two dashes.
std::vector<std::string> normalised_arguments(int argc, char** argv);

}  // namespace mtmd::cli
