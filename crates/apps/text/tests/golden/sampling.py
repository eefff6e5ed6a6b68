"""Golden distributions after the filters and penalties of sampling, and golden beam searches.

Run as `python sampling.py`; writes sampling.json beside itself. Deterministic.
Pinned: Python 3.11, torch 2.15.0, transformers 5.24.0.

The model of the beam searches is a table: its row of the last token, times 1 + length / 32, is the logits of the next.
Without the factor, sequences of the same pairs of tokens in another order would have the same score.
"""

import json
import math
import platform
from pathlib import Path

import torch
import transformers
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.generation import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)
from transformers.modeling_outputs import CausalLMOutput

PROMPT = [2, 5, 2, 3]
INFINITY = float("inf")


def short(value):
    """A float32 in the fewest digits that give it back; null for minus infinity, which JSON lacks."""
    return None if value == -INFINITY else next(
        float(text) for digits in range(1, 10)
        if torch.tensor(float(text := f"{value:.{digits}g}"), dtype=torch.float32).item() == value
    )


def normal(size, seed, scale, decimals=2):
    """Random logits with few decimals, so that the file stays small."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(size, generator=generator) * scale).round(decimals=decimals)


# Filters and penalties.

# Ties among few tokens only: beyond 16, torch does not say which of equal ones sorting leaves first.
LOGITS = {
    "seven": normal(7, 1, 2.0),
    "hundred": normal(101, 2, 2.0, decimals=4),
    "flat": normal(101, 3, 0.3, decimals=4),
    "ties": torch.tensor([1.0, 3.0, 2.0, 2.0, -1.0, 2.0, 0.5]),
    "equal": torch.zeros(7),
    "one": torch.tensor([-INFINITY, -INFINITY, -INFINITY, 0.7, -INFINITY, -INFINITY, -INFINITY]),
    "masked": torch.where(torch.arange(7) % 3 == 0, -INFINITY, normal(7, 4, 1.0)),
}

SINGLE = [
    ({}, None),
    *(({"temperature": t}, TemperatureLogitsWarper(t)) for t in [0.1, 0.7, 1.9]),
    *(({"top_k": k}, TopKLogitsWarper(k)) for k in [1, 2, 3, 50, 1000]),
    *(({"top_p": p}, TopPLogitsWarper(p)) for p in [0.0, 1e-6, 0.3, 0.9, 0.99, 1.0]),
    *(({"min_p": p}, MinPLogitsWarper(p)) for p in [0.0, 0.05, 0.3, 1.0]),
    *(({"typical_p": p}, TypicalLogitsWarper(p)) for p in [0.01, 0.2, 0.9]),
    *(({"repetition_penalty": r}, RepetitionPenaltyLogitsProcessor(r)) for r in [0.8, 1.3]),
    *(
        ({**options, "min_tokens_to_keep": 3}, warper)
        for options, warper in [
            ({"top_k": 2}, TopKLogitsWarper(2, min_tokens_to_keep=3)),
            ({"top_p": 0.1}, TopPLogitsWarper(0.1, min_tokens_to_keep=3)),
            ({"min_p": 0.9}, MinPLogitsWarper(0.9, min_tokens_to_keep=3)),
            ({"typical_p": 0.1}, TypicalLogitsWarper(0.1, min_tokens_to_keep=3)),
        ]
    ),
]

# Here `generate` decides on the order.
TOGETHER = [
    {"temperature": 0.6, "top_k": 5, "top_p": 0.8},
    {"temperature": 1.7, "top_p": 0.7, "min_p": 0.1},
    {"temperature": 1.5, "top_k": 40, "top_p": 0.95, "min_p": 0.02, "typical_p": 0.7, "repetition_penalty": 1.2},
    {"top_k": 30, "typical_p": 0.4},
    {"min_p": 0.05, "typical_p": 0.6, "temperature": 0.8},
]


def distribution(processor, logits):
    scores = logits[None].clone()
    if processor is not None:
        scores = processor(torch.tensor([PROMPT]), scores)
    probabilities = scores.softmax(-1)[0]
    kept = (scores[0] > -INFINITY).nonzero()[:, 0]
    return {"tokens": kept.tolist(), "probabilities": [round(p, 7) for p in probabilities[kept].tolist()]}


def filter_cases(model):
    cases = []
    for name, logits in LOGITS.items():
        for options, processor in SINGLE:
            # Keeps the file small.
            if name == "flat" and not {"top_p", "typical_p"} & options.keys():
                continue
            if name == "hundred" and options in ({"top_k": 1000}, {"top_p": 1.0}, {"min_p": 0.0}):
                continue
            cases.append({"logits": name, "sampling": options, **distribution(processor, logits)})
        for options in TOGETHER:
            config = GenerationConfig(do_sample=True, **{"top_k": 0, **options})
            model._prepare_special_tokens(config)
            processors = model._get_logits_processor(config, len(PROMPT))
            cases.append({"logits": name, "sampling": options, **distribution(processors, logits)})
    return cases


# Beam search.


class Table(PreTrainedModel, GenerationMixin):
    config_class = PretrainedConfig
    main_input_name = "input_ids"

    def __init__(self, table):
        super().__init__(PretrainedConfig(vocab_size=table.shape[0], num_hidden_layers=1))
        self.table = torch.nn.Parameter(table, requires_grad=False)
        self.post_init()

    def forward(self, input_ids=None, **_):
        length = input_ids.shape[1]
        return CausalLMOutput(logits=self.table[input_ids] * (1 + length / 32))

    def _init_weights(self, module):
        pass


def table(size, seed, scale, ends, bias):
    logits = normal((size, size), seed, scale, decimals=3)
    logits[:, ends] += bias
    logits = logits.round(decimals=3)
    assert all(len(row.unique()) == size for row in logits), "equal logits, of which torch.topk may take either"
    return logits


TABLES = {
    # name: (table, prompt, end tokens)
    "eleven": (table(11, 5, 1.5, [0], 0.5), [3, 7], [0]),
    "seven": (table(7, 6, 1.0, [1], 0.0), [2], [1]),
    "eight": (table(8, 143, 2.0, [5], 0.0), [7], [5]),
    "two_ends": (table(7, 8, 1.0, [0, 6], 0.3), [3], [0, 6]),
    "three": (table(3, 9, 1.0, [2], 0.0), [0], [2]),
}


def beam_cases():
    cases = []
    for name, (logits, prompt, ends) in TABLES.items():
        model = Table(logits).eval()
        searches = [
            {"num_beams": beams, "num_return": beams, "length_penalty": penalty, "early_stopping": early}
            for beams in ([2] if name == "three" else [2, 3, 5])
            for penalty in [-1.0, 0.0, 1.0, 2.5]
            for early in ["heuristic", "when-full", "never"]
        ]
        for number, search in enumerate(searches):
            limit = [1, 2, 13, 5][number % 4 if number % 5 else 2]
            repetition = 1.3 if number % 7 == 3 else 1.0
            result = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                do_sample=False,
                use_cache=False,
                num_beams=search["num_beams"],
                num_return_sequences=search["num_return"],
                length_penalty=search["length_penalty"],
                early_stopping={"heuristic": False, "when-full": True, "never": "never"}[search["early_stopping"]],
                max_new_tokens=limit,
                repetition_penalty=repetition,
                eos_token_id=ends,
                pad_token_id=ends[0],
                return_dict_in_generate=True,
                output_scores=True,
            )
            hypotheses = []
            for tokens, score in zip(result.sequences.tolist(), result.sequences_scores.tolist()):
                tokens = tokens[len(prompt):]
                end = next((at + 1 for at, token in enumerate(tokens) if token in ends), len(tokens))
                hypotheses.append({"tokens": tokens[:end], "score": short(score)})
            cases.append({
                "table": name,
                "search": search,
                "max_new_tokens": limit,
                "repetition_penalty": repetition,
                "hypotheses": hypotheses,
            })
    return cases


def main():
    torch.set_num_threads(1)
    golden = {
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "prompt": PROMPT,
        "logits": {name: [short(value) for value in logits.tolist()] for name, logits in LOGITS.items()},
        "filters": filter_cases(Table(torch.zeros(7, 7))),
        "tables": {
            name: {"logits": [short(value) for value in logits.flatten().tolist()], "prompt": prompt, "end_tokens": ends}
            for name, (logits, prompt, ends) in TABLES.items()
        },
        "beams": beam_cases(),
    }
    assert all(math.isfinite(p) for case in golden["filters"] for p in case["probabilities"])
    Path(__file__).with_suffix(".json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
