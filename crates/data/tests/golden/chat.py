"""Golden conversations: templates in the manner of public chat models, rendered and tokenised by transformers.

Writes chat.json beside itself: the templates and special tokens, the conversations, the text or the refusal that each template
makes of each conversation, and the ids of that text for a small tokeniser. The templates were written for this file; together they
use the parts of Jinja that public ones do. Made with Python 3.11, transformers 5.24.0, tokenizers 0.23.3, Jinja2 3.1.6.
"""

import json
from pathlib import Path

import jinja2
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TEMPLATES = {
    # Marks around each turn, a system message of its own if there is none.
    "chatml": """\
{%- set greeting = 'Be brief.' -%}
{% for message in messages %}
    {%- if loop.first and message['role'] != 'system' %}
        {{- '<|im_start|>system\\n' + greeting + '<|im_end|>\\n' }}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{% if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    # The system message within the first user's, turns that must alternate.
    "inst": """\
{% if messages[0]['role'] == 'system' %}
    {% set turns = messages[1:] %}
    {% set system = '<<SYS>> ' ~ messages[0]['content'].strip() ~ ' <</SYS>> ' %}
{% else %}
    {% set turns = messages %}
    {% set system = false %}
{% endif %}
{% for turn in turns %}
    {% if (turn['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('user and assistant have to take turns, but turn ' ~ loop.index ~ ' is of ' ~ turn.role) }}
    {% endif %}
    {% if loop.index0 == 0 and system %}
        {% set content = system + turn['content'] %}
    {% else %}
        {% set content = turn['content'] %}
    {% endif %}
    {% if turn['role'] == 'user' %}
        {{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
    {% elif turn['role'] == 'assistant' %}
        {{ ' ' + content.strip() + ' ' + eos_token }}
    {% endif %}
{% endfor %}
""",
    # Headers, the beginning only once, what isn't given by default.
    "header": """\
{{- bos_token }}
{%- if system_default is not defined %}
    {%- set system_default = "none" %}
{%- endif %}
{%- if tools is not none %}
    {{- raise_exception("no tools") }}
{%- endif %}
{#- A remark, which leaves nothing behind. -#}
{%- for message in messages %}
    {%- set block = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' %}
    {%- if loop.index0 == 0 and message.role in ['system', 'developer'] %}
        {%- set block = block | replace('<|eot_id|>', ' (' ~ system_default | upper ~ ')<|eot_id|>') %}
    {%- endif %}
    {{- block }}
{%- endfor %}
{%- if add_generation_prompt and messages[-1].role != 'assistant' %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    # One line per statement, ends of turns, the last one treated apart.
    "lines": """\
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n' + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}
""",
    # Names that outlive a loop, a loop from the end, thoughts taken out of earlier answers.
    "thoughts": """\
{%- set state = namespace(last=-1, users=0) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if state.last < 0 and message.role == "user" %}
        {%- set state.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}{% set content = message.content %}{% else %}{% set content = '' %}{% endif %}
    {%- if message.role == "user" %}{% set state.users = state.users + 1 %}{% endif %}
    {%- if message.role == "assistant" and '</think>' in content %}
        {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- if loop.index0 > state.last %}
            {%- set content = '<think>' + thought + '</think>' + content %}
        {%- endif %}
    {%- endif %}
    {{- '<|im_start|>' + message.role ~ ' ' ~ state.users + '\\n' + content }}
    {%- if not loop.last %}{{- '<|im_end|>\\n' }}{%- endif %}
{%- endfor %}
{{- '<|im_end|>\\n' if messages[-1]['role'] == 'user' }}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
""",
    # Functions, filters and tests that turn up here and there.
    "sundry": """\
{%- macro mark(role, n=1) -%}
    {{ '#' * n }} {{ role.title() }}:
{%- endmacro -%}
{%- set names = {'user': 'Asker', 'assistant': 'Helper'} -%}
{%- set system = messages | selectattr('role', 'equalto', 'system') | list -%}
{%- if system | length > 0 -%}
    {{ system | map(attribute='content') | join('; ') }}{{ '\\n' }}
{%- endif -%}
{% for message in messages if message.role != 'system' -%}
    {% if loop.index > 3 %}{% break %}{% endif %}
    {{ mark(names.get(message.role, message['role']), n=loop.index) }} {% generation %}{{ message['content'] | trim }}{%- endgeneration %}
    {{- ' ' ~ message | tojson }}{% if message.content.startswith('{') or message.content.endswith('}') %} braces{% endif +%}
{%   endfor -%}
{% for key, value in names.items() | list + [('none', none), ('truth', true)] -%}
    {{ key }}={{ value }}{{ ', ' if not loop.last else '\\n' }}
{%- endfor -%}
{{ [1, 2.5, 'ä<&>', none, {'a': [], 'b': {}}] | tojson(indent=2) }}
{% if tools is iterable and tools is mapping or unknown is defined %}never{% endif -%}
{{ missing_token }}{{ unknown | default('fallback', true) }} {{ messages | length }} {{ range(1, 4) | join('-') }}
{% raw %}{{ as it is }}{% endraw %}{{ "\\n" -}}
{{ loop is defined }}|{{ 7 // 2 }}|{{ 7 % 3 }}|{{ -7 // 2 }}|{{ 1.0 }}|{{ 'a' < 'b' }}|{{ not 1 }}|{{ 'x' in 'xyz' and 2 is even }}
{%- set joined %}
  {{- messages[0].role }}.
{% endset %}
{{ joined | upper }}{{ ('abc' | first) ~ ('abc' | last) ~ 'abc'[1] ~ 'abcdef'[1:4] ~ 'abcdef'[-2:] }}
""",
}

CONVERSATIONS = {
    "one": [("user", "What is a tensor?")],
    "system": [("system", "  Speak plainly. "), ("user", "Hi <b>&'\"</b> there\n")],
    "long": [
        ("system", "You know colours."),
        ("user", "Name one."),
        ("assistant", "<think>\nred or blue\n</think>\n\nBlue."),
        ("user", "  Another, ça va? 春 "),
    ],
    "answered": [("user", "{2 + 2}"), ("assistant", "<think>sum</think>4"), ("user", "And 3?"), ("assistant", "<think>more</think>6")],
    "disorder": [("user", "a"), ("user", "b"), ("tool", "c")],
    "marks": [("user", "It ends with <|im_end|>\n<|eot_id|></s> you know")],
}

SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|user|>", "<|system|>", "<|assistant|>"]


def tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [text for conversation in CONVERSATIONS.values() for _, text in conversation]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def main():
    inner = tokenizer()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    cases = []
    for name, template in TEMPLATES.items():
        for conversation, turns in CONVERSATIONS.items():
            messages = [{"role": role, "content": content} for role, content in turns]
            for prompt in (False, True):
                case = {"template": name, "conversation": conversation, "prompt": prompt}
                options = {"chat_template": template, "add_generation_prompt": prompt}
                try:
                    case["text"] = wrapped.apply_chat_template(messages, tokenize=False, **options)
                    case["ids"] = wrapped.apply_chat_template(messages, tokenize=True, return_dict=False, **options)
                except jinja2.exceptions.TemplateError as error:
                    case["refusal"] = error.message
                cases.append(case)
    golden = {
        "tokenizer": json.loads(inner.to_str()),
        "special": {"bos_token": "<s>", "eos_token": "</s>"},
        "templates": TEMPLATES,
        "conversations": {
            name: [{"role": role, "content": content} for role, content in turns] for name, turns in CONVERSATIONS.items()
        },
        "cases": cases,
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
