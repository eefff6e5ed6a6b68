"""Tokenising by Libellus and by Python's `tokenizers`, in turn, on the same files.

    python crates/data/examples/tokenizing.py PROGRAM TEXT TOKENIZER.json ...

PROGRAM is the built example `tokenizing`. Prints megabytes a second of each, and what share of Python's time ours takes: the text as
one for its ids (`encode`), and its lines for ids and places (`encode_batch`, whose lists Python makes when they are asked for, which
isn't counted). Both may use all cores.
"""

import statistics
import subprocess
import sys
import time

import tokenizers


def rate(text, encode):
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        encode()
        seconds.append(time.perf_counter() - start)
    return len(text.encode()) / 1e6 / statistics.median(seconds)


def main():
    program, path, *files = sys.argv[1:]
    text = open(path, encoding="utf-8", newline="").read()
    lines = text.splitlines()
    for file in files:
        tokenizer = tokenizers.Tokenizer.from_file(file)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        rounds = []
        for _ in range(3):
            ours = [float(word) for word in subprocess.check_output([program, file, path], text=True).split()]
            theirs = [
                rate(text, lambda: tokenizer.encode(text, add_special_tokens=False).ids),
                rate(text, lambda: tokenizer.encode_batch(lines, add_special_tokens=False)),
            ]
            rounds.append(ours + theirs)
        whole, by_line, their_whole, their_by_line = (statistics.median(column) for column in zip(*rounds))
        print(
            f"{file}: as one {whole:.1f} MB/s, Python {their_whole:.1f}: {their_whole / whole:.2f} of its time; by line {by_line:.1f} MB/s, "
            f"Python {their_by_line:.1f}: {their_by_line / by_line:.2f} of its time"
        )


if __name__ == "__main__":
    main()
