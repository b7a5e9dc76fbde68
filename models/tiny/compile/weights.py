"""The model as its GGUF file holds it: the shape from the metadata, the weights under the names of model.py."""

import dataclasses
import pathlib
import sys

import numpy as np

sys.path.append(str(pathlib.Path(__file__).parent.parent / "train"))
from gguf import read_hugging_face  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Shape:
    dim: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ff: int
    vocab: int
    context: int
    norm_eps: float
    rope_theta: float


def load(path: pathlib.Path) -> tuple[Shape, dict[str, np.ndarray]]:
    """-> (shape, float32 weights). A matrix is [out, in]; Q, K and V are one matrix, and so are gate and up."""
    metadata, hf = read_hugging_face(path)
    if metadata["general.architecture"] != "llama":
        raise ValueError(f"{path} holds a {metadata['general.architecture']} model; this recipe is for llama")
    if len(hf) != 2 + 9 * metadata["llama.block_count"]:
        raise ValueError(f"{path} has other tensors than a Llama with tied embeddings and no biases")
    vocab, dim = hf["model.embed_tokens.weight"].shape
    heads = metadata["llama.attention.head_count"]
    shape = Shape(
        dim=dim,
        layers=metadata["llama.block_count"],
        heads=heads,
        kv_heads=metadata["llama.attention.head_count_kv"],
        head_dim=dim // heads,
        ff=metadata["llama.feed_forward_length"],
        vocab=vocab,
        context=metadata["llama.context_length"],
        norm_eps=metadata["llama.attention.layer_norm_rms_epsilon"],
        rope_theta=metadata["llama.rope.freq_base"],
    )
    weights = {"table.weight": hf["model.embed_tokens.weight"], "norm.weight": hf["model.norm.weight"]}
    for i in range(shape.layers):
        layer = {
            "attention_norm": ["input_layernorm"],
            "qkv": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
            "out": ["self_attn.o_proj"],
            "ffn_norm": ["post_attention_layernorm"],
            "gate_up": ["mlp.gate_proj", "mlp.up_proj"],
            "down": ["mlp.down_proj"],
        }
        for name, parts in layer.items():
            weights[f"layers.{i}.{name}.weight"] = np.concatenate([hf[f"model.layers.{i}.{part}.weight"] for part in parts])
    return shape, weights
