"""The network: a Llama of 0.7 million weights in plain JAX, in the layout of Hugging Face checkpoints.

Pre-norm RMSNorm (eps 1e-5), rotary positions (theta 10000, half rotation), SwiGLU, the embedding tied to the output.
A matrix is stored [out, in]; weights of all layers are stacked in the first axis.
"""

import dataclasses

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Shape:
    dim: int = 128
    layers: int = 4
    heads: int = 4  # head_dim 32
    ff: int = 192
    vocab: int = 1024
    context: int = 1024
    norm_eps: float = 1e-5
    rope_theta: float = 10000.0


SHAPE = Shape()


def initial_weights(key, s: Shape = SHAPE):
    sizes = {
        "embed": (s.vocab, s.dim),
        "q": (s.layers, s.dim, s.dim), "k": (s.layers, s.dim, s.dim), "v": (s.layers, s.dim, s.dim), "o": (s.layers, s.dim, s.dim),
        "gate": (s.layers, s.ff, s.dim), "up": (s.layers, s.ff, s.dim), "down": (s.layers, s.dim, s.ff),
    }
    keys = jax.random.split(key, len(sizes))
    weights = {name: jax.random.normal(k, size) * 0.02 for k, (name, size) in zip(keys, sizes.items())}
    for name in ("o", "down"):
        weights[name] = weights[name] / (2 * s.layers) ** 0.5
    weights["attn_norm"] = jnp.ones((s.layers, s.dim))
    weights["ffn_norm"] = jnp.ones((s.layers, s.dim))
    weights["final_norm"] = jnp.ones(s.dim)
    return weights


def rms_norm(x, weight, eps):
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def rotate(x, cos, sin):
    """x [batch, time, heads, head_dim]; the first half of a head pairs with its second half."""
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def logits(weights, tokens, positions, segments, s: Shape = SHAPE):
    """tokens, positions, segments: int [batch, time]; a token attends to earlier tokens of its own segment. -> [batch, time, vocab]"""
    batch, time = tokens.shape
    head_dim = s.dim // s.heads
    frequencies = s.rope_theta ** (-jnp.arange(0, head_dim, 2) / head_dim)
    angles = positions[..., None] * frequencies
    cos, sin = jnp.cos(angles)[:, :, None], jnp.sin(angles)[:, :, None]
    visible = (segments[:, :, None] == segments[:, None, :]) & jnp.tril(jnp.ones((time, time), bool))
    x = weights["embed"][tokens]
    for layer in range(s.layers):
        w = {name: value[layer] for name, value in weights.items() if name not in ("embed", "final_norm")}
        h = rms_norm(x, w["attn_norm"], s.norm_eps)
        q, k, v = ((h @ w[n].T).reshape(batch, time, s.heads, head_dim) for n in "qkv")
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / head_dim**0.5
        scores = jax.nn.softmax(jnp.where(visible[:, None], scores, -1e30), axis=-1)
        x = x + jnp.einsum("bhqk,bkhd->bqhd", scores, v).reshape(batch, time, s.dim) @ w["o"].T
        h = rms_norm(x, w["ffn_norm"], s.norm_eps)
        x = x + (jax.nn.silu(h @ w["gate"].T) * (h @ w["up"].T)) @ w["down"].T
    return rms_norm(x, weights["final_norm"], s.norm_eps) @ weights["embed"].T
