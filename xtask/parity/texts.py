"""Texts of whole checkpoints against Hugging Face's libraries: continuations and perplexity, at full size.

The weights are random, so that what is likeliest is decided by small differences, and the tokenizer is learnt from the project's own
book; or they are those of SmolLM2-135M-Instruct, as its GGUF file has them, with its own tokenizer.
"""

import math
import pathlib
import time

import tokenizers
import torch
import transformers

from program import Failure, listed

BOOK = pathlib.Path(__file__).parents[2] / "docs/src"
PROMPT, TOKENS, BEAMS, PAGE = 256, 200, 4, 512


def gpt2(vocab_size):
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=vocab_size, bos_token_id=None, eos_token_id=None))


def smollm2_135m(vocab_size):
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=vocab_size, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, max_position_embeddings=8192, rope_theta=100000, tie_word_embeddings=True, rms_norm_eps=1e-5,
        bos_token_id=None, eos_token_id=None,
    ))  # fmt: skip


MODELS = {"gpt2": gpt2, "SmolLM2-135M": smollm2_135m}
END = "<|endoftext|>"
QUESTION = "What is a tensor?"


def compare(program, name, folder):
    """What agrees, of a checkpoint with random weights."""
    tokenizer = tokenizers.ByteLevelBPETokenizer()
    tokenizer.train([str(page) for page in sorted(BOOK.glob("*.md"))], vocab_size=8000, show_progress=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    model = MODELS[name](tokenizer.get_vocab_size()).eval()
    model.save_pretrained(folder)
    model.generation_config.pad_token_id = 0
    return texts(program, folder, folder, model, lambda text: tokenizer.encode(text).ids, tokenizer.decode)


def compare_real(program, file, folder):
    """The same of a GGUF file with published weights, and an answer, up to the token that ends it."""
    here = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    tokenizer = transformers.AutoTokenizer.from_pretrained(**here)
    model = transformers.AutoModelForCausalLM.from_pretrained(**here, dtype=torch.float32).eval()
    row = texts(program, folder, file, model, lambda text: tokenizer.encode(text, add_special_tokens=False), tokenizer.decode)

    messages = [{"role": "user", "content": QUESTION}]
    asked = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    asked = torch.tensor([tokenizer.encode(asked, add_special_tokens=False)])
    answer = model.generate(asked, attention_mask=torch.ones_like(asked), max_new_tokens=TOKENS, do_sample=False)
    answer = answer[0, asked.shape[1]:].tolist()
    chat = ("generate", "--weights", file, "--chat", "--prompt", QUESTION, "--temperature", "0", "--max-tokens", TOKENS)
    row["answer"] = len(answer) if listed(program, "text", *chat)["texts"][0]["tokens"] == answer else 0
    row["passed"] &= row["answer"] > 0
    return row


def texts(program, folder, weights, model, encode, decode):
    """What agrees: greedy tokens and their log-probabilities, beams, and the perplexity of a page."""
    # Without numerals: transformers doesn't read from a GGUF file that each is a token of its own.
    page = "".join(c for c in (BOOK / "text.md").read_text(encoding="utf-8") if not c.isnumeric())
    ids = encode(page)
    prompt, page = (decode(ids[:length]) for length in (PROMPT, PAGE))
    (folder / "prompt.txt").write_text(prompt, encoding="utf-8")
    (folder / "page.txt").write_text(page, encoding="utf-8")
    read, known = (torch.tensor([encode(part)]) for part in (prompt, page))
    if (read.shape[1], known.shape[1]) != (PROMPT, PAGE):
        raise Failure("the page is cut within a character")

    # In f64, because rounding decides what a beam search finds where two candidates are nearly as likely.
    model = model.double()
    # All of the prompt is to be read, the tokens that fill up others too.
    given = {"inputs": read, "attention_mask": torch.ones_like(read), "do_sample": False}
    greedy = model.generate(**given, max_new_tokens=TOKENS, return_dict_in_generate=True, output_logits=True)
    theirs = greedy.sequences[0, PROMPT:].tolist()
    logits = torch.stack([step[0] for step in greedy.logits]).double()
    expected = logits.log_softmax(-1).gather(1, torch.tensor(theirs)[:, None])[:, 0]
    generate = ("generate", "--weights", weights, "--prompt-file", folder / "prompt.txt", "--temperature", "0")
    start = time.monotonic()
    ours = listed(program, "text", *generate, "--max-tokens", TOKENS)["texts"][0]
    seconds = time.monotonic() - start
    found = ours["tokens"]
    equal = next((i for i, (a, b) in enumerate(zip(found, theirs)) if a != b), min(len(found), len(theirs)))
    likely = torch.tensor(ours["log_probabilities"][:equal], dtype=torch.float64)
    difference = (likely - expected[:equal]).abs().max().item() if equal else math.inf

    searched = model.generate(**given, max_new_tokens=50, num_beams=BEAMS)[0, PROMPT:].tolist()
    beams = listed(program, "text", *generate, "--max-tokens", 50, "--beams", BEAMS)["texts"][0]["tokens"] == searched

    # A document ends with the token for that, if the tokenizer has one.
    known = torch.cat([known, torch.tensor([encode(END)])], 1) if len(encode(END)) == 1 else known
    with torch.no_grad():
        loss = model(known, labels=known).loss.item()
    ours = listed(program, "text", "eval", "--weights", weights, "--corpus", folder / "page.txt", "--context", PAGE)
    perplexity = abs(ours["perplexity"] / math.exp(loss) - 1)
    passed = equal == len(theirs) == len(found) and difference < 1e-4 and beams and perplexity < 1e-4
    return {
        "tokens": equal, "log_probability": difference, "beams": beams, "perplexity": perplexity, "seconds": seconds, "passed": passed,
    }  # fmt: skip
