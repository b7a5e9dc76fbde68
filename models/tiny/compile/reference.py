"""The same model in numpy, in double precision: what the compiled library's logits are compared with.

python reference.py <model.gguf> reads lines of JSON, each a list of token ids, and answers each with a line: the
list of the logits after every one of them.
"""

import json
import pathlib
import sys

import numpy as np

from weights import Shape, load


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def rotate(x, cos, sin):
    """x [time, heads, head_dim]; the first half of a head pairs with its second half."""
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def logits(shape: Shape, weights: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """-> [time, vocab]: row i holds the logits of the token after ids[: i + 1]."""
    s, w = shape, {name: array.astype(np.float64) for name, array in weights.items()}
    time, group = len(ids), s.heads // s.kv_heads
    angles = np.arange(time)[:, None] * s.rope_theta ** (-np.arange(0, s.head_dim, 2) / s.head_dim)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    visible = np.tril(np.ones((time, time), bool))
    x = w["table.weight"][ids]
    for i in range(s.layers):
        at = f"layers.{i}."
        h = rms_norm(x, w[at + "attention_norm.weight"], s.norm_eps)
        qkv = (h @ w[at + "qkv.weight"].T).reshape(time, -1, s.head_dim)
        q, k, v = np.split(qkv, [s.heads, s.heads + s.kv_heads], axis=1)
        q, k, v = rotate(q, cos, sin), np.repeat(rotate(k, cos, sin), group, 1), np.repeat(v, group, 1)
        scores = np.where(visible, np.einsum("qhd,khd->hqk", q, k) * s.head_dim**-0.5, -np.inf)
        share = np.exp(scores - scores.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        x = x + np.einsum("hqk,khd->qhd", share, v).reshape(time, -1) @ w[at + "out.weight"].T
        h = rms_norm(x, w[at + "ffn_norm.weight"], s.norm_eps)
        gate, up = np.split(h @ w[at + "gate_up.weight"].T, 2, axis=-1)
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[at + "down.weight"].T
    return rms_norm(x, w["norm.weight"], s.norm_eps) @ w["table.weight"].T


if __name__ == "__main__":
    shape, weights = load(pathlib.Path(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(logits(shape, weights, json.loads(line)).round(6).tolist()), flush=True)
