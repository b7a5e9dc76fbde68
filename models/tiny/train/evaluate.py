"""Exact answers under greedy decoding, found in one pass: an answer is right if each of its tokens is the likeliest.

The margin is the smallest distance between the likeliest and the second likeliest logit within right answers: how much
another engine's rounding may differ before a greedy answer changes.
"""

import jax
import jax.numpy as jnp
import numpy as np

from corpus import QUESTIONS, Corpus, held_out
from model import logits

LENGTH = 256
forward = jax.jit(logits)


def exact(weights, rows, pairs):
    """-> (share of right answers, smallest margin, the questions missed)"""
    right, margins, missed = 0, [], []
    for start in range(0, len(pairs), 32):
        part = pairs[start : start + 32]
        tokens, learn = np.zeros((32, LENGTH), np.int32), np.zeros((32, LENGTH), bool)
        for i, (ask, answer) in enumerate(part):
            prompt = rows.prompt(ask)
            ids = [*prompt, *rows.encode(answer), 2]
            tokens[i, : len(ids)] = ids
            learn[i, len(prompt) : len(ids)] = True
        positions = np.broadcast_to(np.arange(LENGTH, dtype=np.int32), tokens.shape)
        scores = forward(weights, tokens, positions, np.zeros_like(tokens))[:, :-1]
        best, ids = jax.lax.top_k(scores, 2)
        gap, hit = np.asarray(best[..., 0] - best[..., 1]), np.asarray(ids[..., 0]) == tokens[:, 1:]
        for i, (ask, _) in enumerate(part):
            if hit[i][learn[i, 1:]].all():
                right += 1
                margins.append(gap[i][learn[i, 1:]].min())
            else:
                missed.append(ask)
    return right / len(pairs), round(float(min(margins, default=0)), 2), missed


def evaluate(weights, rows):
    sums = [(f"What is {a} + {b}?", f"{a} + {b} = {a + b}.") for a in range(100) for b in range(100) if held_out(a, b)]
    questions = [(ask, entry["answer"]) for entry in QUESTIONS for ask in entry["ask"]]
    fresh = Corpus(seed=99)
    sets = {
        "heldOutSums": sums[::2], "questions": questions,
        "echo": [fresh.echo() for _ in range(200)], "reverse": [fresh.reverse() for _ in range(200)],
        "countWords": [fresh.count_words() for _ in range(200)], "countRange": [fresh.count_range() for _ in range(50)],
    }
    results = {}
    for name, pairs in sets.items():
        share, margin, missed = exact(weights, rows, pairs)
        results[name] = {"right": round(share, 4), "of": len(pairs), "margin": margin, "missed": missed[:5]}
    return results
