"""Compiles the model and writes everything web-llm loads; the library is left as objects, for runtime/link.sh.

python build.py <model.gguf> <tokenizer folder> <output folder> <object folder>
"""

import json
import pathlib
import shutil
import sys

import tvm
from tvm import relax as rx
from tvm.contrib import tvmjs

import model
import sampling_functions
from weights import Shape, load

PREFILL_CHUNK = 128  # tokens; a longer prompt is read in chunks
TARGET = tvm.target.Target(
    "webgpu", host={"kind": "llvm", "mtriple": "wasm32-unknown-unknown-wasm", "mcpu": "mvp"}
)


def windows(s: Shape) -> dict[str, int]:
    return {
        "context_window_size": s.context,
        "sliding_window_size": -1,
        "attention_sink_size": -1,
        "prefill_chunk_size": PREFILL_CHUNK,
    }


def metadata_function(s: Shape, parameters) -> rx.Function:
    """What web-llm reads from the library itself, above all the order of the parameters."""
    text = json.dumps({
        "model_type": "llama",
        "quantization": "q0f32",
        **windows(s),
        "kv_state_kind": "kv_cache",
        "max_batch_size": 1,
        "params": [{"name": name, "shape": [int(n) for n in p.shape], "dtype": p.dtype} for name, p in parameters],
    })
    bb = rx.BlockBuilder()
    with bb.function("_metadata", []):
        bb.emit_func_output(tvm.ir.StringImm(text))
    return bb.get()["_metadata"]


def chat_config(s: Shape, tokenizer: dict, tokenizer_config: dict) -> dict:
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    start, end, pad = (ids[tokenizer_config[f"{name}_token"]] for name in ("bos", "eos", "pad"))
    return {
        "version": "0.1.0",
        "model_type": "llama",
        "quantization": "q0f32",
        "vocab_size": s.vocab,
        **windows(s),
        "temperature": 0.0,
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "repetition_penalty": 1.0,
        "bos_token_id": start,
        "eos_token_id": [end, pad],
        "pad_token_id": pad,
        "tokenizer_files": ["tokenizer.json", "tokenizer_config.json"],
        "tokenizer_info": {
            "token_postproc_method": "byte_level",
            "prepend_space_in_encode": False,
            "strip_space_in_decode": False,
        },
        # ChatML, as the template in tokenizer_config.json writes it. Without role_templates, because web-llm fills
        # those by String.replace, which takes a "$&" in a message for a pattern.
        "conv_template": {
            "name": "chatml",
            "system_template": "<|im_start|>system\n{system_message}<|im_end|>\n",
            "system_message": "",
            "render_empty_system_message": False,
            "system_prefix_token_ids": None,
            "add_role_after_system_message": True,
            "roles": {"user": "<|im_start|>user", "assistant": "<|im_start|>assistant"},
            "messages": [],
            "seps": ["<|im_end|>\n"],
            "role_content_sep": "\n",
            "role_empty_sep": "\n",
            "stop_str": ["<|im_end|>"],
            "stop_token_ids": [end, pad],
            "function_string": "",
            "use_function_calling": False,
        },
    }


def compile_to_objects(mod: tvm.IRModule, folder: pathlib.Path):
    """Objects instead of TVM's usual bitcode, which the linker of an older LLVM can't read."""
    with TARGET, tvm.transform.PassContext(config={"tirx.disable_cse_tir": True}):
        executable = tvm.compile(mod, TARGET)

    def keep(_, objects, **options):
        for path in map(pathlib.Path, objects):
            shutil.copy(path, folder / path.name)

    keep.object_format = "o"
    executable.export_library(str(folder / "unused"), fcompile=keep)
    shaders = executable.mod.imports[0].imports[0].inspect_source()
    (folder / "shaders.wgsl").write_text(shaders)  # for reading only


def main(gguf: pathlib.Path, tokenizer: pathlib.Path, out: pathlib.Path, objects: pathlib.Path):
    shape, weights = load(gguf)
    mod, parameters = model.export(shape, TARGET)
    mod = sampling_functions.add_to(mod, shape.vocab)
    mod["_metadata"] = metadata_function(shape, parameters)

    for folder in (out, objects):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    compile_to_objects(mod, objects)

    tvmjs.dump_tensor_cache(
        {name: weights[name] for name, _ in parameters}, str(out), encode_format="raw", show_progress=False
    )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, out / name)
    # The library contains TVM's runtime, whose licence asks for its notice.
    shutil.copyfile(pathlib.Path(tvm.__file__).parent / "NOTICE", out / "NOTICE")
    config = chat_config(
        shape, json.loads((out / "tokenizer.json").read_text()), json.loads((out / "tokenizer_config.json").read_text())
    )
    (out / "mlc-chat-config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
