"""Writes ../tussah-tiny-f32.gguf and ../manifest.json from build/weights.npz, and reads the GGUF back to compare."""

import hashlib
import json
import pathlib

import numpy as np

from gguf import ARRAY, BOOL, FLOAT32, INT32, STRING, UINT32, read_hugging_face, to_pairs, write_gguf
from model import SHAPE
from tokenizer import SPECIAL

FOLDER = pathlib.Path(__file__).parent
OUT = FOLDER.parent
NAME = "tussah-tiny-f32.gguf"
BYTES_MAX = 3_000_000
NORMAL_TOKEN, CONTROL_TOKEN = 1, 3


def entries(tokenizer: dict, template: str) -> list[tuple]:
    vocab = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]]
    return [
        ("general.architecture", STRING, "llama"),
        ("general.name", STRING, "tussah-tiny"),
        ("general.license", STRING, "apache-2.0"),
        ("general.file_type", UINT32, 0),
        ("llama.context_length", UINT32, SHAPE.context),
        ("llama.embedding_length", UINT32, SHAPE.dim),
        ("llama.block_count", UINT32, SHAPE.layers),
        ("llama.feed_forward_length", UINT32, SHAPE.ff),
        ("llama.attention.head_count", UINT32, SHAPE.heads),
        ("llama.attention.head_count_kv", UINT32, SHAPE.heads),
        ("llama.attention.layer_norm_rms_epsilon", FLOAT32, SHAPE.norm_eps),
        ("llama.rope.dimension_count", UINT32, SHAPE.dim // SHAPE.heads),
        ("llama.rope.freq_base", FLOAT32, SHAPE.rope_theta),
        ("llama.vocab_size", UINT32, SHAPE.vocab),
        ("tokenizer.ggml.model", STRING, "gpt2"),
        ("tokenizer.ggml.pre", STRING, "smollm"),
        ("tokenizer.ggml.tokens", ARRAY, vocab, STRING),
        ("tokenizer.ggml.token_type", ARRAY, [CONTROL_TOKEN if t in SPECIAL else NORMAL_TOKEN for t in vocab], INT32),
        ("tokenizer.ggml.merges", ARRAY, merges, STRING),
        ("tokenizer.ggml.bos_token_id", UINT32, 1),
        ("tokenizer.ggml.eos_token_id", UINT32, 2),
        ("tokenizer.ggml.padding_token_id", UINT32, 0),
        ("tokenizer.ggml.add_bos_token", BOOL, False),
        ("tokenizer.chat_template", STRING, template),
    ]


def tensors(w: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    named = {"token_embd.weight": w["embed"], "output_norm.weight": w["final_norm"]}
    parts = {"attn_norm": "attn_norm", "attn_q": "q", "attn_k": "k", "attn_v": "v", "attn_output": "o", "ffn_norm": "ffn_norm",
             "ffn_gate": "gate", "ffn_up": "up", "ffn_down": "down"}
    for layer in range(SHAPE.layers):
        for part, ours in parts.items():
            matrix = w[ours][layer]
            named[f"blk.{layer}.{part}.weight"] = to_pairs(matrix, SHAPE.heads) if ours in ("q", "k") else matrix
    return named


def digest(name: str) -> dict:
    data = (OUT / name).read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def training_facts() -> dict:
    """What the training measured, without the list of missed questions."""
    facts = json.loads((FOLDER / "build" / "training.json").read_text())
    return {name: {k: v for k, v in fact.items() if k != "missed"} if isinstance(fact, dict) else fact for name, fact in facts.items()}


def main():
    weights = dict(np.load(FOLDER / "build" / "weights.npz"))
    tokenizer = json.loads((OUT / "tokenizer.json").read_text())
    template = json.loads((OUT / "tokenizer_config.json").read_text())["chat_template"]
    write_gguf(OUT / NAME, entries(tokenizer, template), tensors(weights))

    _, back = read_hugging_face(OUT / NAME)
    assert np.array_equal(back["model.layers.1.self_attn.q_proj.weight"], weights["q"][1])
    assert np.array_equal(back["model.layers.2.mlp.down_proj.weight"], weights["down"][2])
    files = {name: digest(name) for name in (NAME, "tokenizer.json", "tokenizer_config.json", "questions.json")}
    assert files[NAME]["bytes"] < BYTES_MAX
    manifest = {
        "name": "tussah-tiny",
        "status": "trained",
        "shape": {
            "architecture": "llama", "dim": SHAPE.dim, "layers": SHAPE.layers, "heads": SHAPE.heads, "keyValueHeads": SHAPE.heads,
            "headDim": SHAPE.dim // SHAPE.heads, "ff": SHAPE.ff, "vocab": SHAPE.vocab, "context": SHAPE.context,
            "normEps": SHAPE.norm_eps, "ropeTheta": SHAPE.rope_theta, "tiedEmbeddings": True,
        },
        "weights": int(sum(w.size for w in weights.values())),
        "specialTokens": {token: i for i, token in enumerate(SPECIAL)},
        "files": files,
        "training": training_facts(),
    }
    (OUT / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    print(json.dumps(manifest, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
