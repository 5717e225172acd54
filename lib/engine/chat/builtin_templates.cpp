// Templates that come with the program, for --chat-template NAME. The formats are those the models were trained with;
// the templates are our own. Content may be a string, or a list of parts of which all but texts become media markers.
#include <algorithm>

#include "engine/chat/template.h"

namespace mtmd::chat {
namespace {

// Every template begins with this macro.
#define TEXT_OF                                                                                        \
  "{%- macro text_of(content) -%}"                                                                     \
  "{%- if content is string -%}{{ content }}"                                                          \
  "{%- elif content is not none and content is iterable -%}"                                           \
  "{%- for part in content -%}{{ part.text if part.type == 'text' else '<__media__>' }}{%- endfor -%}" \
  "{%- endif -%}"                                                                                      \
  "{%- endmacro -%}"
// Takes a leading system message out of `messages`; the rest is in ns.rest.
#define SPLIT_SYSTEM                                                                       \
  "{%- set ns = namespace(system='', rest=messages) -%}"                                   \
  "{%- if messages and messages[0].role == 'system' -%}"                                   \
  "{%- set ns.system = text_of(messages[0].content) -%}{%- set ns.rest = messages[1:] -%}" \
  "{%- endif -%}"

struct Builtin {
  std::string_view name, source;
};

constexpr Builtin table[] = {
    {"chatml", TEXT_OF
     "{%- for m in messages -%}{{ '<|im_start|>' ~ m.role ~ '\n' ~ text_of(m.content) ~ '<|im_end|>\n' }}{%- endfor -%}"
     "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"},
    {"deepseek", TEXT_OF SPLIT_SYSTEM
     "{{ bos_token ~ ns.system }}"
     "{%- for m in ns.rest -%}"
     "{%- if m.role == 'assistant' -%}{{ '<｜Assistant｜>' ~ text_of(m.content) ~ '<｜end▁of▁sentence｜>' }}"
     "{%- else -%}{{ '<｜User｜>' ~ text_of(m.content) }}{%- endif -%}"
     "{%- endfor -%}"
     "{%- if add_generation_prompt -%}{{ '<｜Assistant｜>' }}{%- endif -%}"},
    {"gemma", TEXT_OF SPLIT_SYSTEM "{{ bos_token }}"
                                   "{%- for m in ns.rest -%}"
                                   "{{ '<start_of_turn>' ~ ('model' if m.role == 'assistant' else m.role) ~ '\n' }}"
                                   "{%- if loop.first and ns.system -%}{{ ns.system ~ '\n\n' }}{%- endif -%}"
                                   "{{ text_of(m.content)|trim ~ '<end_of_turn>\n' }}"
                                   "{%- endfor -%}"
                                   "{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"},
    {"llama-2", TEXT_OF SPLIT_SYSTEM
     "{%- for m in ns.rest -%}"
     "{%- if m.role == 'assistant' -%}{{ ' ' ~ text_of(m.content)|trim ~ ' ' ~ eos_token }}"
     "{%- else -%}{{ bos_token ~ '[INST] ' }}"
     "{%- if loop.first and ns.system -%}{{ '<<SYS>>\n' ~ ns.system ~ '\n<</SYS>>\n\n' }}{%- endif -%}"
     "{{ text_of(m.content)|trim ~ ' [/INST]' }}{%- endif -%}"
     "{%- endfor -%}"},
    {"llama-3",
     TEXT_OF "{{ bos_token }}"
             "{%- for m in messages -%}"
             "{{ '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' ~ text_of(m.content)|trim ~ '<|eot_id|>' }}"
             "{%- endfor -%}"
             "{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif -%}"},
    {"mistral", TEXT_OF SPLIT_SYSTEM
     "{{ bos_token }}"
     "{%- for m in ns.rest -%}"
     "{%- if m.role == 'assistant' -%}{{ ' ' ~ text_of(m.content) ~ eos_token }}"
     "{%- else -%}{{ '[INST] ' }}{%- if loop.first and ns.system -%}{{ ns.system ~ '\n\n' }}{%- endif -%}"
     "{{ text_of(m.content) ~ '[/INST]' }}{%- endif -%}"
     "{%- endfor -%}"},
    {"phi-3",
     TEXT_OF "{%- for m in messages -%}{{ '<|' ~ m.role ~ '|>\n' ~ text_of(m.content) ~ '<|end|>\n' }}{%- endfor -%}"
             "{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%}"},
    {"plain", TEXT_OF "{%- for m in messages -%}{{ text_of(m.content) }}{%- endfor -%}"},
    {"smolvlm", TEXT_OF "{{ '<|im_start|>' }}"
                        "{%- for m in messages -%}"
                        "{{ m.role|capitalize ~ ':' }}"
                        "{%- if not text_of(m.content).startswith('<__media__>') -%}{{ ' ' }}{%- endif -%}"
                        "{{ text_of(m.content) ~ '<end_of_utterance>\n' }}"
                        "{%- endfor -%}"
                        "{%- if add_generation_prompt -%}{{ 'Assistant:' }}{%- endif -%}"},
    {"vicuna", TEXT_OF "{%- for m in messages -%}"
                       "{%- if m.role == 'system' -%}{{ text_of(m.content) ~ '\n\n' }}"
                       "{%- elif m.role == 'assistant' -%}{{ 'ASSISTANT: ' ~ text_of(m.content) ~ '</s>\n' }}"
                       "{%- else -%}{{ 'USER: ' ~ text_of(m.content) ~ '\n' }}{%- endif -%}"
                       "{%- endfor -%}"
                       "{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}"},
    {"zephyr", TEXT_OF
     "{%- for m in messages -%}{{ '<|' ~ m.role ~ '|>\n' ~ text_of(m.content) ~ eos_token ~ '\n' }}{%- endfor -%}"
     "{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%}"},
};

#undef TEXT_OF
#undef SPLIT_SYSTEM

}  // namespace

std::string_view builtin(std::string_view name) noexcept {
  const auto* it =
      std::find_if(std::begin(table), std::end(table), [name](const Builtin& b) { return b.name == name; });
  return it == std::end(table) ? std::string_view() : it->source;
}

std::vector<std::string_view> builtin_names() {
  std::vector<std::string_view> names;
  for (const Builtin& b : table) names.push_back(b.name);
  return names;
}

}  // namespace mtmd::chat
