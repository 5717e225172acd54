#pragma once

#include "engine/sampling/grammar_program.h"
#include "engine/sampling/grammar_syntax.h"

namespace mtmd::grammar {

/// Throws Error(usage) for left recursion and for a grammar that is too large.
Program compile(const Syntax& syntax);

}  // namespace mtmd::grammar
