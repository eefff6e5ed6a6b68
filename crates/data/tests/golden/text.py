"""Golden outputs of tokenisers: byte-level BPE (GPT-2's kind), WordPiece (BERT's), BPE with byte fallback (Llama 2's).

Writes text.json beside itself: the texts, and for each kind the small tokeniser trained here, with its ids, offsets
(in bytes of UTF-8), masks and decoded texts. Made with Python 3.11, tokenizers 0.23.3. Everything is deterministic.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it\n"
    "was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of\n"
    "Darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing\n"
    "before us, we were all going direct to Heaven, we were all going direct the other way.\n\n",
    "Call me Ishmael. Some years ago - never mind how long precisely - having little or no money in my purse, and\n"
    "nothing particular to interest me on shore, I thought I would sail about a little and see the watery part of the\n"
    "world. It is a way I have of driving off the spleen, and regulating the circulation.\n\n",
    "Über allen Gipfeln ist Ruh, in allen Wipfeln spürest du kaum einen Hauch; die Vögelein schweigen im Walde.\n",
    "春眠不覚暁 処処聞啼鳥 夜来風雨声 花落知多少\n",
    "don't won't I'll we've they're he'd I'm 1234 56.78 99%\n",
]

TEXTS = [
    "",
    " ",
    "\n",
    "it was the best of times",
    "  two  spaces   and\ttabs \t mixed  ",
    "lines\r\nwith\r\n\r\nCRLF\r\n",
    "blank\n\n\nlines \n \n and trailing \n\n",
    "I'll say 'we've' DON'T they'Re it's 'sound",
    "digits 1234 and ½ ² ௧௨ ٣٤, 3.14e-10",
    "e\u0301 combining \u0301\u0302 a\u0308\u0323 \u1e69 \u212b",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family \U0001f1e9\U0001f1ea flag \U0001f44d\U0001f3fd",
    "\u202bשלום עולם\u202c مرحبا بالعالم",
    "nul\0inside \x01\x7f\x1b[0m \x85next\u2028line\u00a0nbsp\u3000wide",
    "春眠不覚暁、処処聞啼鳥。カタカナ 한국어",
    "\ufeffbom \ufffd replacement \ufffd",
    "a<|endoftext|>b  <|endoftext|> c[SEP]d [MASK] e</s>",
    "Straße ÆSIR İstanbul ΌΣΟΣ ﬁ",
    "supercalifragilisticexpialidocious " * 3,
    "\U0001d54f\U0001d556 \U00010348 \U0010fffd",
]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(s, tokenizer.token_to_id(s)) for s in ("[CLS]", "[SEP]")]
    )
    return tokenizer


def byte_fallback():
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trained.pre_tokenizer = pre_tokenizers.Split("\n", "isolated")
    trained.train_from_iterator(CORPUS[:3], trainers.BpeTrainer(vocab_size=200, max_token_length=8, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + sorted(model["vocab"], key=model["vocab"].get)
    vocab = {token: id for id, token in enumerate(tokens)}
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = trained.normalizer
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def encoding(text, encoded):
    ends = [len(text[:length].encode()) for length in range(len(text) + 1)]
    return {
        "ids": encoded.ids,
        "offsets": [[ends[start], ends[end]] for start, end in encoded.offsets],
        "mask": encoded.attention_mask,
    }


def outputs(tokenizer, pad):
    out = {"tokenizer": json.loads(tokenizer.to_str()), "texts": [], "batches": []}
    for text in TEXTS:
        encoded = tokenizer.encode(text, add_special_tokens=False)
        out["texts"].append(
            encoding(text, encoded)
            | {
                "special": tokenizer.encode(text).ids,
                "decoded": tokenizer.decode(encoded.ids),
                "decoded_special": tokenizer.decode(encoded.ids, skip_special_tokens=False),
            }
        )
    for max_len, length, special in [(None, None, True), (7, None, True), (5, 11, False), (13, 13, True)]:
        tokenizer.enable_padding(length=length, pad_id=tokenizer.token_to_id(pad), pad_token=pad)
        if max_len:
            tokenizer.enable_truncation(max_len)
        batch = tokenizer.encode_batch(TEXTS[3:10], add_special_tokens=special)
        rows = [encoding(text, encoded) for text, encoded in zip(TEXTS[3:10], batch)]
        out["batches"].append({"max_len": max_len, "length": length, "special": special, "rows": rows})
        tokenizer.no_padding()
        tokenizer.no_truncation()
    return out


golden = {
    "corpus": CORPUS,
    "inputs": TEXTS,
    "byte_level": outputs(byte_level(), "<|endoftext|>"),
    "word_piece": outputs(word_piece(), "[PAD]"),
    "byte_fallback": outputs(byte_fallback(), "</s>"),
}
path = Path(__file__).with_suffix(".json")
path.write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n")
print(path.stat().st_size, "bytes")
