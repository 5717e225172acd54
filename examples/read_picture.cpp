// The library in thirty lines: ask a model about a picture.   read_picture MODEL.gguf PICTURE [QUESTION]
#include <cstdio>
#include <fstream>
#include <iterator>

#include "engine/base/error.h"
#include "mtmd/media/image_file.h"
#include "mtmd/session.h"

int main(int argc, char** argv) try {
  if (argc < 3) return std::fprintf(stderr, "usage: read_picture MODEL.gguf PICTURE [QUESTION]\n"), 2;
  const auto model = mtmd::Model::load({.model = argv[1]});  // finds its mmproj file by itself

  std::ifstream file(argv[2], std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  auto picture = mtmd::media::decode_image(std::as_bytes(std::span(bytes)), argv[2]);

  const mtmd::Message message{"user", std::string(mtmd::kMediaMarker) + (argc > 3 ? argv[3] : "OCR")};
  const auto prompt = mtmd::Prompt::marked(mtmd::format_chat(*model, std::span(&message, 1)),
                                           {{std::move(picture.image), argv[2], argv[2], false}});

  mtmd::Session session(model);
  const auto answer = session.generate(prompt, {.max_tokens = 200},
                                       [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); });
  std::printf("\n[%s after %zu tokens, %.0f ms]\n", mtmd::name(answer.finish).data(), answer.tokens.size(),
              answer.timings.total);
  return 0;
} catch (const mtmd::Error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return mtmd::exit_code(e.category());
}
