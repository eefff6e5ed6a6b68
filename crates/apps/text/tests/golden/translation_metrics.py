"""Golden scores of translations.

Run as `python translation_metrics.py`; writes translation_metrics.json beside itself. Deterministic.
Pinned: Python 3.11, sacrebleu 2.6.0.
"""

import json
import platform
from pathlib import Path

import sacrebleu
from sacrebleu.metrics import BLEU

# Name: segments, each a hypothesis and its references.
CORPORA = {
    "plain": [
        ("The cat sat on the mat.", ["The cat is sitting on the mat."]),
        ("There is a dog in the garden", ["There's a dog in the garden."]),
        ("I would like to have a cup of tea, please.", ["I'd like a cup of tea, please."]),
        ("He didn't come to work because he was ill.", ["He did not come to work, as he was ill."]),
    ],
    "punctuation": [
        ('"Well," she said; "it\'s -- how to put it? -- odd..."', ['"Well", she said: "it is - how to put it - odd."']),
        ("[a] {b} (c) <d> a/b a\\b a_b a^b `x` ~y | z", ["(a) {b} [c] <d> a\\b a/b a_b a^b 'x' ~y | z"]),
        ("5% of $3 & #7 @home *star* +1 =2", ["5 % of $ 3 & # 7 @ home * star * + 1 = 2"]),
        ("What?! No... yes,,no.,.", ["What?!? No.. yes, no.,"]),
        (".start,end.", [".start , end."]),
        ("«Guillemets» — and „quotes“ … ¿qué?", ["«Guillemets» – and “quotes” … ¿que?"]),
    ],
    "numbers": [
        ("It costs 1,234.5 or 1.234,5 in 2020-2021.", ["It costs 1,234.5 or 1.234,50 in 2020-2021."]),
        ("3.14 is not .5 nor 5. and 7, 8,9", ["3.14 is not 0.5 or 5. and 7, 8, 9"]),
        ("COVID-19 B-52 4-door 10-12 x-1-y -3 3-", ["COVID-19 B-52 4-door 10 - 12 x-1-y - 3 3 -"]),
        ("v1.2.3 at 12:30, 1/2 ...4", ["v1.2.3 at 12.30 , 1/2 .4"]),
        ("٣٫١ ٣.١ and ３.１ are digits", ["٣.١ ٣.١ and 3.1 are digits"]),
    ],
    "entities": [
        ("&quot;A &amp; B&quot; &lt;b&gt; &amp;lt; &apos;x&apos;", ['"A & B" <b> &lt; \'x\'']),
        ("a <skipped> b &quot c &amp;amp; d", ["a b \" c & amp; d"]),
        ("a hyphen-\nated word on\ntwo lines of it", ["a hyphenated word on two lines of it"]),
    ],
    "cjk": [
        ("猫がマットの上に座っている。", ["猫はマットの上に座っています。"]),
        ("他有3只猫，2.5公斤。", ["他有3只猫,重2.5公斤。"]),
        ("나는 학교에 간다.", ["나는 학교에 갔다."]),
    ],
    "spaces": [
        ("  a\u00a0b\tc \u2009 d\u3000e\u001cf  ", ["a b c d e f"]),
        ("one\u200btwo three\r\nfour five \u0085", ["one two three four five"]),
    ],
    "case": [
        ("THE Straße is IN İstanbul", ["the STRASSE is in istanbul"]),
        ("ΟΔΟΣ and odd One two three", ["οδος AND ODD one two three"]),
    ],
    "some_empty": [
        ("", ["It is missing."]),
        ("a b c d e", ["a b c d e f"]),
        ("   ", ["white"]),
        ("something", [""]),
    ],
    "all_empty": [("", ["not here"]), ("", ["nor here"])],
    "nothing": [("", [""])],
    "identical": [
        ("A quick brown fox, as always, jumps.", ["A quick brown fox, as always, jumps."]),
        ("Two words", ["Two words"]),
    ],
    "short": [("Yes.", ["Yes."]), ("No", ["No!"])],
    "one_word": [("yes", ["yes"])],
    "no_overlap": [("a b c d e f", ["u v w x y z"]), ("g h", ["i"])],
    "no_trigrams": [("a b x c d y e f", ["a b c d e f g h"])],
    "no_bigrams": [("a c e g i k", ["a b c d e f g h i j k"])],
    "repeated": [("the the the the the the the", ["The cat is on the mat, the one.", "there is a cat on the mat"])],
    "long": [("a b c d e f g h i j", ["a b c"])],
    "several": [
        ("It is a guide to action which ensures that the military always obeys the commands of the party.", [
            "It is a guide to action that ensures that the military will forever heed Party commands.",
            "It is the guiding principle which guarantees the military forces always being under the command of the "
            "Party.",
            "It is the practical guide for the army always to heed the directions of the party.",
        ]),
        # Of references as near as each other in length, the shorter one counts.
        ("a b c d e", ["a b c", "a b c d e f g", "x"]),
        ("one two three four", ["one two three four", "four three two one"]),
        # Other numbers of references.
        ("just a single reference here", ["only a single reference here"]),
    ],
}

OPTIONS = [
    {"tokenizer": "13a", "lowercase": False},
    {"tokenizer": "13a", "lowercase": True},
    {"tokenizer": "none", "lowercase": False},
    {"tokenizer": "char", "lowercase": False},
]


def numbers(score):
    return {
        "score": score.score,
        "precisions": score.precisions,
        "brevity_penalty": score.bp,
        "hypothesis_length": score.sys_len,
        "reference_length": score.ref_len,
        "line": str(score),
    }


def streams(segments):
    """References as sacreBLEU takes them: for each place the references that all segments have there."""
    most = max(len(references) for _, references in segments)
    return [[r[place] if place < len(r) else None for _, r in segments] for place in range(most)]


def main():
    cases = []
    for corpus, segments in CORPORA.items():
        hypotheses = [hypothesis for hypothesis, _ in segments]
        for options in OPTIONS:
            settings = {"tokenize": options["tokenizer"], "lowercase": options["lowercase"]}
            sentence = BLEU(**settings, effective_order=True)
            cases.append({
                "corpus": corpus,
                "options": options,
                "score": numbers(BLEU(**settings).corpus_score(hypotheses, streams(segments))),
                "sentences": [sentence.sentence_score(*segment).score for segment in segments],
            })
    golden = {
        "versions": {"python": platform.python_version(), "sacrebleu": sacrebleu.__version__},
        "corpora": CORPORA,
        "bleu": cases,
    }
    text = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
    Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
