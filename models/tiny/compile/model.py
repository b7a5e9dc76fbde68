"""The Llama network as web-llm calls it: embed, prefill, decode and the maker of the KV cache."""

from tvm import relax as rx
from tvm import tirx
from tvm.ir import StringImm
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import Tensor, op
from tvm.relax.frontend.nn.llm.kv_cache import _compact_kv_copy, _copy_single_page, _kv_cache_debug_get_kv
from tvm.target import Target

import cache_kernels
import kernels
from weights import Shape

F32 = "float32"
PREFILL_TILE = 4  # tokens a thread handles at once


class Cache(nn.Object):
    """TVM's paged KV cache, which the runtime implements; it calls our kernels for the arithmetic."""

    @staticmethod
    def create(s: Shape, target: Target, sizes: list[tirx.Var]) -> "Cache":
        """`sizes` are the arguments of create_tir_paged_kv_cache. The order of `args` is the runtime's."""
        bb = rx.BlockBuilder.current()

        def function(kernel):
            return kernels.add_to(bb, kernel)

        def attention(kernel):
            return rx.Tuple([StringImm("tirx"), function(kernel)])

        none = rx.Tuple([])
        args = [
            rx.ShapeExpr(sizes),
            rx.ShapeExpr([0, s.layers]),
            *map(rx.prim_value, (s.heads, s.kv_heads, s.head_dim, s.head_dim)),
            rx.ShapeExpr([0] * s.layers),  # plain multi-head attention in every layer
            rx.prim_value(False),  # no transfer of the cache to other machines
            rx.prim_value(1),  # rotate before the cache, not in attention
            rx.prim_value(1),  # scale of positions
            rx.prim_value(s.rope_theta),
            rx.prim_value(0),  # no factors for longer contexts
            rx.op.zeros((), F32),
            function(cache_kernels.append(s.kv_heads, s.head_dim)),
            rx.prim_value(0),  # no latent attention
            attention(cache_kernels.attend_chunk(s.heads, s.kv_heads, s.head_dim)),
            attention(cache_kernels.attend_pages(s.heads, s.kv_heads, s.head_dim, decode=False)),
            attention(cache_kernels.attend_pages(s.heads, s.kv_heads, s.head_dim, decode=True)),
            *[none] * 5,  # sliding windows (2), token trees (2), latent attention
            rx.Tuple([function(cache_kernels.merge(s.heads, s.head_dim))]),
            function(cache_kernels.rotate_split(s.heads, s.kv_heads, s.head_dim, s.rope_theta)),
            # The constructor wants these three; they serve forks and inspection, which web-llm does not do.
            function(_copy_single_page(s.kv_heads, cache_kernels.PAGE, s.head_dim, F32, target)),
            function(_kv_cache_debug_get_kv(s.layers, s.kv_heads, s.head_dim, F32)),
            function(_compact_kv_copy(s.kv_heads, s.head_dim, F32, target)),
        ]
        return Cache(
            _expr=rx.call_pure_packed("vm.builtin.paged_attention_kv_cache_create", *args, ty_args=rx.AnyType()),
            _name="paged_kv_cache",
        )

    def attention(self, layer: int, qkv: Tensor, heads: int) -> Tensor:
        """qkv [n, heads + 2 kv_heads, head_dim], not rotated yet -> [n, heads, head_dim]"""
        n, _, head_dim = qkv.shape
        call = rx.call_dps_packed(
            "vm.builtin.attention_kv_cache_attention_with_fused_qkv",
            [self._expr, rx.prim_value(layer), rx.prim_value(head_dim**-0.5), qkv._expr],
            out_ty=rx.TensorType((n, heads, head_dim), F32),
        )
        return Tensor(_expr=rx.BlockBuilder.current().emit(call))


def run(kernel, args: list[Tensor], *shape) -> Tensor:
    name = kernel.attrs["global_symbol"]
    return op.tensor_ir_op(kernel.without_attr("global_symbol"), name, args, Tensor.placeholder(shape, F32))


class Weight(nn.Module):
    def __init__(self, *shape: int):
        self.weight = nn.Parameter(shape, F32)


class Layer(nn.Module):
    def __init__(self, s: Shape):
        self.attention_norm = Weight(s.dim)
        self.qkv = Weight((s.heads + 2 * s.kv_heads) * s.head_dim, s.dim)
        self.out = Weight(s.dim, s.heads * s.head_dim)
        self.ffn_norm = Weight(s.dim)
        self.gate_up = Weight(2 * s.ff, s.dim)
        self.down = Weight(s.dim, s.ff)


class Llama(nn.Module):
    """Its parameters' names are those of weights.py."""

    def __init__(self, s: Shape, target: Target):
        self.shape = s
        self.target = target
        self.table = Weight(s.vocab, s.dim)
        self.layers = nn.ModuleList([Layer(s) for _ in range(s.layers)])
        self.norm = Weight(s.dim)

    def embed(self, ids: Tensor) -> Tensor:
        s = self.shape
        return run(kernels.embed(s.vocab, s.dim), [ids, self.table.weight], ids.shape[0], s.dim)

    def prefill(self, x: Tensor, cache: Cache):
        return self.forward(x, cache, PREFILL_TILE), cache

    def decode(self, x: Tensor, cache: Cache):
        return self.forward(x, cache, 1), cache

    def forward(self, x: Tensor, cache: Cache, tile: int) -> Tensor:
        """x [1, n, dim] -> the logits after the last token [1, 1, vocab]"""
        s, (_, n, dim) = self.shape, x.shape
        all_heads = s.heads + 2 * s.kv_heads
        for i, w in enumerate(self.layers):
            project = kernels.norm_project(dim, all_heads, s.head_dim, s.norm_eps, tile)
            qkv = run(project, [x, w.attention_norm.weight, w.qkv.weight], n, all_heads, s.head_dim)
            mixed = cache.attention(i, qkv, s.heads)
            x = run(kernels.project_add(s.heads, s.head_dim, dim, tile), [mixed, x, w.out.weight], 1, n, dim)
            gate_up = kernels.norm_gate_up(dim, s.ff, s.norm_eps, tile)
            gated = run(gate_up, [x, w.ffn_norm.weight, w.gate_up.weight], n, 1, s.ff)
            x = run(kernels.project_add(1, s.ff, dim, tile), [gated, x, w.down.weight], 1, n, dim)
        return run(kernels.last_logits(dim, s.vocab, s.norm_eps), [x, self.norm.weight, self.table.weight], 1, 1, s.vocab)

    def create_tir_paged_kv_cache(self, sequences, context, chunk, page, sliding) -> Cache:
        return Cache.create(self.shape, self.target, [sequences, context, chunk, page, sliding])


def export(s: Shape, target: Target):
    """-> (module, parameters in the order the functions take them)"""
    packed = {"param_mode": "packed", "effect_mode": "none"}
    cache = nn.spec.Object(object_type=Cache)
    spec = {
        "embed": {"ids": nn.spec.Tensor(["n"], "int32"), "$": packed},
        "prefill": {"x": nn.spec.Tensor([1, "n", s.dim], F32), "cache": cache, "$": packed},
        "decode": {"x": nn.spec.Tensor([1, 1, s.dim], F32), "cache": cache, "$": packed},
        "create_tir_paged_kv_cache": {
            **dict.fromkeys(("sequences", "context", "chunk", "page", "sliding"), int),
            "$": {"param_mode": "none", "effect_mode": "none"},
        },
    }
    mod, parameters, _ = Llama(s, target).export_tvm(spec, allow_extern=True)
    return mod, parameters
