// How the products of an encoder are computed, in words.
#pragma once

#include <string>

#include "engine/gguf/gguf.h"

namespace mtmd::encoders {

/// E.g. "products in bf16 where that is faster: the weights of all 193 matrices in half precision fit". Looks at samples of the weights.
std::string describe_products(const gguf::File& file);

}  // namespace mtmd::encoders
