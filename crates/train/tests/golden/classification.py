"""Golden numbers for the classification metrics.

Versions: python 3.11.7, numpy 2.4.6, scikit-learn 1.9.1. Run as `python classification.py`; writes classification.json beside itself.

scikit-learn has no expected calibration error: it is computed here from its definition (Guo et al. 2017, arXiv:1706.04599, eq. 3).
Of equal probabilities scikit-learn's top-k takes the higher class first and ours the lower, so it gets the classes reversed.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

warnings.filterwarnings("ignore")


def expected_calibration_error(probabilities, labels, n_bins=15):
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    error = 0.0
    for m in range(1, n_bins + 1):
        inside = (confidence > (m - 1) / n_bins) & (confidence <= m / n_bins)
        if inside.any():
            error += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return error


def case(name, probabilities, labels):
    probabilities = probabilities.astype(np.float32)
    exact = probabilities.astype(np.float64)
    n_classes = exact.shape[1]
    classes = list(range(n_classes))
    predicted = exact.argmax(axis=1)
    scores = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    macro = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0, average="macro")
    return {
        "name": name,
        "num_classes": n_classes,
        "probabilities": [float(p) for p in probabilities.flatten()],
        "labels": [int(label) for label in labels],
        "top1": float(accuracy_score(labels, predicted)),
        "top5": float(
            top_k_accuracy_score(n_classes - 1 - labels, exact[:, ::-1], k=min(5, n_classes), labels=classes)
        ),
        "nll": float(log_loss(labels, exact, labels=classes)),
        "ece": float(expected_calibration_error(exact, labels)),
        "precision": [float(x) for x in scores[0]],
        "recall": [float(x) for x in scores[1]],
        "f1": [float(x) for x in scores[2]],
        "support": [int(x) for x in scores[3]],
        "macro_precision": float(macro[0]),
        "macro_recall": float(macro[1]),
        "macro_f1": float(macro[2]),
        "confusion": confusion_matrix(labels, predicted, labels=classes).tolist(),
    }


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


rng = np.random.default_rng(7)
cases = []

labels = rng.integers(0, 7, size=101)
logits = rng.normal(size=(101, 7))
logits[np.arange(101), labels] += 1.5
cases.append(case("seven classes", softmax(logits), labels))

# Class 2 never occurs, class 4 is never predicted.
labels = rng.choice([0, 1, 3, 4, 5, 6, 7, 8, 9, 10], size=67)
logits = 3 * rng.normal(size=(67, 11))
logits[:, 4] = -50
cases.append(case("class without samples", softmax(logits), labels))

# Multiples of 1/8: many ties, exact sums.
counts = rng.multinomial(8, np.full(7, 1 / 7), size=53)
cases.append(case("ties", counts / 8, rng.integers(0, 7, size=53)))

cases.append(case("three classes", softmax(2 * rng.normal(size=(23, 3))), rng.integers(0, 3, size=23)))

path = Path(__file__).with_suffix(".json")
path.write_text(json.dumps(cases, indent=None, separators=(",", ":")) + "\n")
