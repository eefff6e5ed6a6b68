"""Golden ids of vocabularies as tiktoken and GGUF files have them.

Writes vocabularies.json beside itself: a small byte-level vocabulary with the ids that tiktoken gives to texts for each published
pattern, and a small SentencePiece model with its own ids. Made with Python 3.11, tiktoken 0.14.0, tokenizers 0.23.3,
sentencepiece 0.2.3.
"""

import io
import json
import unicodedata
from pathlib import Path

import sentencepiece
import tiktoken
import tiktoken_ext.openai_public as openai_public
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

OTHERS = json.loads(Path(__file__).with_name("text.json").read_text())
CORPUS, TEXTS = OTHERS["corpus"], OTHERS["inputs"]

# Llama 3's and Qwen's, as their published code has them.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

MORE = [
    "ends with lines and spaces\n  \n\t ",
    "camelCase XMLHttpRequest ÉCOLEs McDonald's DON'T I'LL we'Ve \u017fs 'S",
    "12345678 3.14159 x86_64 a1b22c333 ٣٤٥٦ Ⅷ½",
    "path/to//file.rs?\n\nhttp://a.b/c\r\n",
    "tab\t\tname  two   three    four\n\n\n   def f():\n\treturn 0  ",
    "e\u0301le\u0300ve \u1e9b\u0323 \ufb01n ½",
    "# = * / - + ~~~ ... !!! ???\n---\n",
    "ΑΒΓ αβγ Жж ǅ ʰ अआ ก",
]


def patterns():
    # The patterns alone: what the constructors load besides is in files elsewhere.
    openai_public.load_tiktoken_bpe = lambda *_, **__: {}
    return {
        "gpt2": openai_public.r50k_pat_str,
        "cl100k": openai_public.cl100k_base()["pat_str"],
        "o200k": openai_public.o200k_base()["pat_str"],
        "llama3": LLAMA3,
        "qwen": QWEN,
    }


def byte_level(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False, max_token_length=6)
    # Without words: merges across their ends show where a pattern draws them.
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    spelling = openai_public_bytes()
    ranks = {bytes(spelling[c] for c in token): rank for rank, token in enumerate(tokens)}
    ids = {}
    for name, pattern in patterns().items():
        encoding = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        normal = (lambda text: unicodedata.normalize("NFC", text)) if name == "qwen" else (lambda text: text)
        ids[name] = [encoding.encode_ordinary(normal(text)) for text in texts]
    digits = Tokenizer(models.BPE(model["vocab"], [tuple(merge) for merge in model["merges"]]))
    digits.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    ids["gpt2_digits"] = [digits.encode(text).ids for text in texts]
    return {"tokens": tokens, "merges": [" ".join(merge) for merge in model["merges"]], "ids": ids}


def openai_public_bytes():
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return {c: byte for byte, c in bytes_to_unicode().items()}


def pieces(texts):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in CORPUS + texts[:6] for line in text.splitlines()),
        model_writer=out,
        vocab_size=480,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        hard_vocab_limit=False,
        character_coverage=0.98,
        user_defined_symbols=["[INST]"],
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    count = model.get_piece_size()

    def kind(id):
        if model.is_unknown(id):
            return 2
        if model.is_control(id):
            return 3
        if model.is_unused(id):
            return 5
        if model.is_byte(id):
            return 6
        return 4 if model.id_to_piece(id) == "[INST]" else 1

    # It makes no control tokens of text, as `tokenizers` does.
    texts = [text for text in texts if "</s>" not in text]
    return {
        "tokens": [model.id_to_piece(id) for id in range(count)],
        "scores": [model.get_score(id) for id in range(count)],
        "types": [kind(id) for id in range(count)],
        "texts": texts,
        "ids": [model.encode(text) for text in texts],
        "decoded": [model.decode(model.encode(text)) for text in texts],
    }


def main():
    texts = TEXTS + MORE
    golden = {"texts": texts, "byte_level": byte_level(texts), "pieces": pieces(texts)}
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
