// mtmd tokenize: text to token ids and back.
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/gguf/gguf.h"
#include "engine/tokenizer/tokenizer.h"
#include "mtmd-cli/flags.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/verb.h"

namespace mtmd::cli {
namespace {

struct TokenizeCommand {
  std::string model, text, file;
  bool decode = false, ids = false, json = false, count = false, no_bos = false, no_special = false;

  void run(Console& console) const {
    const gguf::File gguf = gguf::File::open(model);
    const auto tokenizer = Tokenizer::load(gguf.metadata());
    const std::string input = !file.empty() ? read_bytes(file) : text.empty() || text == "-" ? read_bytes("-") : text;
    if (decode) return console.result(tokenizer->decode(parse_ids(input, tokenizer->size()), true) + "\n");
    const auto tokens = tokenizer->encode(input, {.add_special = !no_bos, .parse_special = !no_special});
    if (count) return console.result(fmt::format("{}\n", tokens.size()));
    if (json) {
      Json list = Json::array();
      for (const Token t : tokens) list.push_back({{"id", t}, {"text", tokenizer->piece(t, true)}});
      return console.result(dump({{"n_tokens", tokens.size()}, {"tokens", list}}) + "\n");
    }
    std::string out;
    for (const Token t : tokens)
      out += ids ? fmt::format("{} ", t) : fmt::format("{:>7}  {}\n", t, dump(Json(tokenizer->piece(t, true))));
    if (ids && !out.empty()) out.back() = '\n';
    console.result(out);
  }

  static std::vector<Token> parse_ids(const std::string& input, int n_vocab) {
    std::vector<Token> ids;
    const char* at = input.data();
    const char* const end = at + input.size();
    while (true) {
      while (at < end && std::string_view(" \t\r\n,[]").find(*at) != std::string_view::npos) ++at;
      if (at == end) return ids;
      Token id = 0;
      const auto [next, error] = std::from_chars(at, end, id);
      if (error != std::errc() || id < 0 || id >= n_vocab)
        fail(ErrorCategory::input, "'{}': expected token ids from 0 to {}",
             std::string(at, std::min<std::size_t>(20, static_cast<std::size_t>(end - at))), n_vocab - 1);
      ids.push_back(id);
      at = next;
    }
  }
};

}  // namespace

void add_tokenize(CLI::App& app, Console& console) {
  auto command = std::make_shared<TokenizeCommand>();
  auto* sub = app.add_subcommand("tokenize", "text to token ids and back");
  sub->footer(
      "Examples:\n"
      "  mtmd tokenize -m model.gguf 'Hello world'\n"
      "  mtmd tokenize -m model.gguf --ids --file book.txt > ids.txt\n"
      "  mtmd tokenize -m model.gguf --decode --file ids.txt");
  sub->add_option("-m,--model", command->model, "GGUF file with a vocabulary")->required()->type_name("FILE");
  sub->add_option("text", command->text, "the text (- or nothing: stdin)");
  sub->add_option("--file", command->file, "read the text from a file")->type_name("FILE");
  sub->add_flag("--ids", command->ids, "only the ids, on one line");
  sub->add_flag("--count", command->count, "only how many");
  sub->add_flag("--json", command->json);
  sub->add_flag("--decode", command->decode, "ids in, text out");
  sub->add_flag("--no-bos", command->no_bos, "without the special tokens that the model file adds at the ends");
  sub->add_flag("--no-parse-special", command->no_special, "control tokens in the text are plain text");
  sub->callback([command, &console] { command->run(console); });
}

}  // namespace mtmd::cli
