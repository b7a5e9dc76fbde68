"""Trains the model: `python train.py` writes build/weights.npz and build/training.json, and goes on from an earlier stop.

Three phases: conversations packed in rows of 256 tokens, then 512, then 1024 (the whole context), while the rate of
learning falls to zero over the second half. Matrices learn by Muon (orthogonalised momentum), the rest by Adam.
"""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import json
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Tokenizer

from corpus import Corpus
from evaluate import evaluate
from model import SHAPE, initial_weights, logits
from rows import Rows

FOLDER = pathlib.Path(__file__).parent
BUILD = FOLDER / "build"
# steps, rows, tokens a row, share of rows that are one conversation from end to end
PHASES = [(4400, 16, 256, 0.1), (400, 8, 512, 0.3), (300, 4, 1024, 0.6)]
STEPS = sum(phase[0] for phase in PHASES)
WARM_UP, DECAY = 100, STEPS * 55 // 100
MUON_RATE, ADAM_RATE, WEIGHT_DECAY = 0.02, 3e-3, 0.02
MATRICES = ("q", "k", "v", "o", "gate", "up", "down")


def loss(weights, tokens, learn, segments, positions):
    scores = jax.nn.log_softmax(logits(weights, tokens[:, :-1], positions[:, :-1], segments[:, :-1]))
    targets = jnp.take_along_axis(scores, tokens[:, 1:, None], axis=-1)[..., 0]
    learned = learn[:, 1:] * (segments[:, 1:] == segments[:, :-1])
    return -(targets * learned).sum() / learned.sum()


def orthogonalise(m):
    """Newton-Schulz: m [layers, out, in] -> nearly the closest matrices with all singular values 1."""
    tall = m.shape[1] > m.shape[2]
    x = jnp.swapaxes(m, 1, 2) if tall else m
    x = x / (jnp.linalg.norm(x, axis=(1, 2), keepdims=True) + 1e-7)
    for _ in range(5):
        a = x @ jnp.swapaxes(x, 1, 2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return jnp.swapaxes(x, 1, 2) if tall else x


def rate_at(step):
    """1 after the warm-up, falling in a straight line to 0 over the last DECAY steps."""
    return jnp.minimum(jnp.minimum(1.0, (step + 1) / WARM_UP), (STEPS - step) / DECAY)


@jax.jit
def update(weights, first, second, step, batch):
    value, gradient = jax.value_and_grad(loss)(weights, *batch)
    rate = rate_at(step)
    new_weights, new_first, new_second = {}, {}, {}
    for name, w in weights.items():
        g = gradient[name]
        if name in MATRICES:
            m = 0.95 * first[name] + g
            direction = orthogonalise(g + 0.95 * m) * max(1.0, w.shape[1] / w.shape[2]) ** 0.5
            new_weights[name] = w * (1 - MUON_RATE * rate * WEIGHT_DECAY) - MUON_RATE * rate * direction
            new_first[name], new_second[name] = m, second[name]
        else:
            m = 0.9 * first[name] + 0.1 * g
            v = 0.98 * second[name] + 0.02 * g * g
            corrected = (m / (1 - 0.9 ** (step + 1))) / (jnp.sqrt(v / (1 - 0.98 ** (step + 1))) + 1e-8)
            new_weights[name] = w - ADAM_RATE * rate * corrected
            new_first[name], new_second[name] = m, v
    return new_weights, new_first, new_second, value


def save(state):
    flat = {f"{group}/{name}": np.asarray(value) for group in ("weights", "first", "second") for name, value in state[group].items()}
    np.savez(BUILD / "state.tmp.npz", step=state["step"], seconds=state["seconds"], tokens=state["tokens"], **flat)
    (BUILD / "state.tmp.npz").rename(BUILD / "state.npz")


def load():
    if not (BUILD / "state.npz").exists():
        weights = initial_weights(jax.random.key(7))
        zeros = {name: jnp.zeros_like(value) for name, value in weights.items()}
        return {"weights": weights, "first": zeros, "second": zeros, "step": 0, "seconds": 0.0, "tokens": 0}
    stored = np.load(BUILD / "state.npz")
    state = {group: {} for group in ("weights", "first", "second")}
    for key in stored.files:
        if "/" in key:
            group, name = key.split("/")
            state[group][name] = jnp.asarray(stored[key])
    return state | {"step": int(stored["step"]), "seconds": float(stored["seconds"]), "tokens": int(stored["tokens"])}


def phase_at(step: int):
    for steps, *phase in PHASES:
        if step < steps:
            return phase
        step -= steps
    raise ValueError("past the last phase")


def main(stop_after: int = STEPS):
    BUILD.mkdir(exist_ok=True)
    state = load()
    tokenizer = Tokenizer.from_file(str(FOLDER.parent / "tokenizer.json"))
    rows = Rows(tokenizer, Corpus(seed=100 + state["step"]))
    started, losses = time.monotonic() - state["seconds"], []
    while state["step"] < min(STEPS, stop_after):
        batch = rows.batch(*phase_at(state["step"]))
        *groups, value = update(state["weights"], state["first"], state["second"], state["step"], batch)
        state |= dict(zip(("weights", "first", "second"), groups), step=state["step"] + 1)
        state["tokens"] += batch[0].shape[0] * (batch[0].shape[1] - 1)
        losses.append(float(value))
        state["seconds"] = time.monotonic() - started
        if state["step"] % 100 == 0:
            print(f"step {state['step']} of {STEPS} loss {np.mean(losses):.4f} tokens {state['tokens']} seconds {state['seconds']:.0f}", flush=True)
            losses = []
        if state["step"] % 1000 == 0 or state["step"] == STEPS:
            save(state)
            print(json.dumps(evaluate(state["weights"], rows)), flush=True)
    np.savez(BUILD / "weights.npz", **{name: np.asarray(value) for name, value in state["weights"].items()})
    facts = {"steps": state["step"], "tokens": state["tokens"], "seconds": round(state["seconds"]), **evaluate(state["weights"], rows)}
    (BUILD / "training.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
