// Pictures and recordings that a model reads to be measured: its own prompt around each.
#pragma once

#include <memory>
#include <string>

#include "mtmd-cli/console.h"
#include "mtmd/prompt.h"
#include "mtmd/session.h"

namespace mtmd::cli {

/// What is asked about media: `given`, or the model's own question.
std::string media_question(const std::shared_ptr<const Model>& model, const std::string& given);

/// The picture or recording (told apart by content) in the chat template, in front of the question unless that marks
/// its place. Throws Error(input) for what is neither.
Prompt media_prompt(Console& console, const Model& model, const std::string& path, const std::string& question);

}  // namespace mtmd::cli
