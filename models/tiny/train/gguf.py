"""GGUF (version 3, little endian), written and read: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

llama.cpp rotates neighbouring pairs of a head, Hugging Face rotates its halves; so the rows of Q and K are permuted on
the way into a GGUF and permuted back by the reader.
"""

import struct

import numpy as np

UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
TENSOR_F32 = 0
ALIGNMENT = 32


def to_pairs(w: np.ndarray, heads: int) -> np.ndarray:
    """[out, in] from halves (Hugging Face) to neighbouring pairs (llama.cpp)."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def to_halves(w: np.ndarray, heads: int) -> np.ndarray:
    return w.reshape(heads, w.shape[0] // heads // 2, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


# ---- writing

def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(kind: int, value) -> bytes:
    if kind == STRING:
        return _string(value)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}[kind], value)


def _entry(key: str, kind: int, value, item: int | None = None) -> bytes:
    head = _string(key) + struct.pack("<I", kind)
    if kind != ARRAY:
        return head + _value(kind, value)
    return head + struct.pack("<IQ", item, len(value)) + b"".join(_value(item, x) for x in value)


def write_gguf(path, entries: list[tuple], tensors: dict[str, np.ndarray]) -> None:
    """entries: (key, kind, value) or (key, ARRAY, values, kind of item); tensors: name -> float32, row-major [out, in]"""
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(_entry(*e) for e in entries)
    blobs, offset = [], 0
    for name, tensor in tensors.items():
        header += _string(name) + struct.pack("<I", tensor.ndim)
        header += b"".join(struct.pack("<Q", n) for n in reversed(tensor.shape))
        header += struct.pack("<IQ", TENSOR_F32, offset)
        blob = np.ascontiguousarray(tensor, "<f4").tobytes()
        blobs.append(blob + bytes(-len(blob) % ALIGNMENT))
        offset += len(blobs[-1])
    with open(path, "wb") as file:
        file.write(header + bytes(-len(header) % ALIGNMENT))
        file.writelines(blobs)


# ---- reading

class _Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, form: str):
        value = struct.unpack_from("<" + form, self.data, self.at)[0]
        self.at += struct.calcsize("<" + form)
        return value

    def string(self) -> str:
        length = self.take("Q")
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def value(self, kind: int):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            item, count = self.take("I"), self.take("Q")
            return [self.value(item) for _ in range(count)]
        return self.take({UINT32: "I", INT32: "i", FLOAT32: "f", BOOL: "?"}[kind])


def read_gguf(path):
    """-> (metadata, float32 tensors under their GGUF names, row-major [out, in], as stored)"""
    data = open(path, "rb").read()
    r = _Reader(data)
    if r.take("4s") != b"GGUF" or r.take("I") != 3:
        raise ValueError("not a GGUF file of version 3")
    tensor_count, entry_count = r.take("Q"), r.take("Q")
    metadata = {}
    for _ in range(entry_count):
        key = r.string()
        metadata[key] = r.value(r.take("I"))
    places = []
    for _ in range(tensor_count):
        name = r.string()
        shape = tuple(r.take("Q") for _ in range(r.take("I")))[::-1]
        if r.take("I") != TENSOR_F32:
            raise ValueError(f"{name} is not float32")
        places.append((name, shape, r.take("Q")))
    start = -(-r.at // ALIGNMENT) * ALIGNMENT
    return metadata, {
        name: np.frombuffer(data, "<f4", int(np.prod(shape)), start + offset).reshape(shape) for name, shape, offset in places
    }


def read_hugging_face(path):
    """-> (metadata, weights under the names and in the layout of a Hugging Face LlamaForCausalLM with tied embeddings)"""
    metadata, stored = read_gguf(path)
    heads = {"attn_q": metadata["llama.attention.head_count"], "attn_k": metadata["llama.attention.head_count_kv"]}
    inner = {
        "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    }
    weights = {"model.embed_tokens.weight": stored["token_embd.weight"], "model.norm.weight": stored["output_norm.weight"]}
    for name, tensor in stored.items():
        if name.startswith("blk."):
            _, layer, part, _ = name.split(".")
            weights[f"model.layers.{layer}.{inner[part]}.weight"] = to_halves(tensor, heads[part]) if part in heads else tensor
    return metadata, weights
