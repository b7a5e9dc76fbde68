"""The model's GPU kernels, written for few dispatches and for adapters without a GPU.

TVM's generic kernels tile matrices in workgroup memory; a software adapter pays for every barrier and is slow to
compile them. Here a thread computes whole outputs on its own: no barriers, no workgroup memory, small shaders, and
sums in an order that does not depend on the adapter.

In a launch x counts blocks of THREADS threads, one thread per output of a token, and y counts tiles of `tile` tokens:
a thread does its output for all tokens of a tile, so that a weight is loaded once for them.
"""

from tvm.script import tirx as T

THREADS = 32
LOWEST = -3.0e38
F32, I32 = "float32", "int32"


def add_to(builder, kernel):
    """Adds the kernel to the module under its name, as one that only the module calls."""
    return builder.add_func(kernel.without_attr("global_symbol"), kernel.attrs["global_symbol"])


def blocks(count: int) -> int:
    return -(-count // THREADS)


def embed(vocab: int, dim: int):
    """out[t] = table[ids[t]]"""

    @T.prim_func(s_tir=True)
    def embed(ids_: T.handle, table: T.Buffer((vocab, dim), F32), out_: T.handle):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        n = T.int64()
        ids = T.match_buffer(ids_, (n,), I32)
        out = T.match_buffer(out_, (n, dim), F32)
        for t in T.thread_binding(n, thread="blockIdx.y"):
            for b in T.thread_binding(blocks(dim), thread="blockIdx.x"):
                for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                    with T.sblock("embed"):
                        T.reads()
                        T.writes()
                        at: T.let[T.int32] = b * THREADS + i
                        if at < dim:
                            out[t, at] = table[ids[t], at]

    return embed


def norm_project(dim: int, heads: int, inner: int, eps: float, tile: int):
    """out[t] = weight . (x[t] / rms(x[t]) * gain), with the rows as [heads, inner]"""

    @T.prim_func(s_tir=True)
    def norm_project(
        x_: T.handle, gain: T.Buffer((dim,), F32), weight: T.Buffer((heads * inner, dim), F32), out_: T.handle
    ):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        n = T.int64()
        x = T.match_buffer(x_, (1, n, dim), F32)
        out = T.match_buffer(out_, (n, heads, inner), F32)
        for y in T.thread_binding((n + tile - 1) // tile, thread="blockIdx.y"):
            for b in T.thread_binding(blocks(heads * inner), thread="blockIdx.x"):
                for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                    with T.sblock("norm_project"):
                        T.reads()
                        T.writes()
                        squares = T.sblock_alloc_buffer((tile,), F32, scope="local")
                        sums = T.sblock_alloc_buffer((tile,), F32, scope="local")
                        row: T.let[T.int32] = b * THREADS + i
                        if row < heads * inner:
                            for j in T.unroll(tile):
                                squares[j] = T.float32(0)
                                sums[j] = T.float32(0)
                            for k in T.serial(dim):
                                w: T.let[T.float32] = weight[row, k] * gain[k]
                                for j in T.unroll(tile):
                                    value: T.let[T.float32] = x[0, T.min(y * tile + j, n - 1), k]
                                    squares[j] += value * value
                                    sums[j] += value * w
                            for j in T.unroll(tile):
                                if y * tile + j < n:
                                    out[y * tile + j, row // inner, row % inner] = sums[j] * T.rsqrt(
                                        squares[j] / T.float32(dim) + T.float32(eps)
                                    )

    return norm_project


def norm_gate_up(dim: int, ff: int, eps: float, tile: int):
    """out[t] = silu(gate . h) * (up . h), where h = x[t] / rms(x[t]) * gain and weight holds gate above up"""

    @T.prim_func(s_tir=True)
    def norm_gate_up(x_: T.handle, gain: T.Buffer((dim,), F32), weight: T.Buffer((2 * ff, dim), F32), out_: T.handle):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        n = T.int64()
        x = T.match_buffer(x_, (1, n, dim), F32)
        out = T.match_buffer(out_, (n, 1, ff), F32)
        for y in T.thread_binding((n + tile - 1) // tile, thread="blockIdx.y"):
            for b in T.thread_binding(blocks(ff), thread="blockIdx.x"):
                for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                    with T.sblock("norm_gate_up"):
                        T.reads()
                        T.writes()
                        squares = T.sblock_alloc_buffer((tile,), F32, scope="local")
                        gates = T.sblock_alloc_buffer((tile,), F32, scope="local")
                        ups = T.sblock_alloc_buffer((tile,), F32, scope="local")
                        row: T.let[T.int32] = b * THREADS + i
                        if row < ff:
                            for j in T.unroll(tile):
                                squares[j] = T.float32(0)
                                gates[j] = T.float32(0)
                                ups[j] = T.float32(0)
                            for k in T.serial(dim):
                                gate_w: T.let[T.float32] = weight[row, k] * gain[k]
                                up_w: T.let[T.float32] = weight[row + ff, k] * gain[k]
                                for j in T.unroll(tile):
                                    value: T.let[T.float32] = x[0, T.min(y * tile + j, n - 1), k]
                                    squares[j] += value * value
                                    gates[j] += value * gate_w
                                    ups[j] += value * up_w
                            for j in T.unroll(tile):
                                if y * tile + j < n:
                                    scale: T.let[T.float32] = T.rsqrt(squares[j] / T.float32(dim) + T.float32(eps))
                                    gate: T.let[T.float32] = gates[j] * scale
                                    out[y * tile + j, 0, row] = gate / (T.float32(1) + T.exp(-gate)) * (ups[j] * scale)

    return norm_gate_up


def project_add(heads: int, inner: int, rows: int, tile: int):
    """out[t] = base[t] + weight . x[t], where x is [heads, inner] for each token"""

    @T.prim_func(s_tir=True)
    def project_add(x_: T.handle, base_: T.handle, weight: T.Buffer((rows, heads * inner), F32), out_: T.handle):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        n = T.int64()
        x = T.match_buffer(x_, (n, heads, inner), F32)
        base = T.match_buffer(base_, (1, n, rows), F32)
        out = T.match_buffer(out_, (1, n, rows), F32)
        for y in T.thread_binding((n + tile - 1) // tile, thread="blockIdx.y"):
            for b in T.thread_binding(blocks(rows), thread="blockIdx.x"):
                for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                    with T.sblock("project_add"):
                        T.reads()
                        T.writes()
                        sums = T.sblock_alloc_buffer((tile,), F32, scope="local")
                        row: T.let[T.int32] = b * THREADS + i
                        if row < rows:
                            for j in T.unroll(tile):
                                sums[j] = T.float32(0)
                            for k in T.serial(heads * inner):
                                w: T.let[T.float32] = weight[row, k]
                                for j in T.unroll(tile):
                                    sums[j] += x[T.min(y * tile + j, n - 1), k // inner, k % inner] * w
                            for j in T.unroll(tile):
                                if y * tile + j < n:
                                    out[0, y * tile + j, row] = base[0, y * tile + j, row] + sums[j]

    return project_add


def last_logits(dim: int, vocab: int, eps: float):
    """out = table . (x[n - 1] / rms(x[n - 1]) * gain): the logits after the last token"""

    @T.prim_func(s_tir=True)
    def last_logits(
        x_: T.handle, gain: T.Buffer((dim,), F32), table: T.Buffer((vocab, dim), F32), out: T.Buffer((1, 1, vocab), F32)
    ):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        n = T.int64()
        x = T.match_buffer(x_, (1, n, dim), F32)
        for b in T.thread_binding(blocks(vocab), thread="blockIdx.x"):
            for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                with T.sblock("last_logits"):
                    T.reads()
                    T.writes()
                    square = T.sblock_alloc_buffer((1,), F32, scope="local")
                    total = T.sblock_alloc_buffer((1,), F32, scope="local")
                    row: T.let[T.int32] = b * THREADS + i
                    if row < vocab:
                        square[0] = T.float32(0)
                        total[0] = T.float32(0)
                        for k in T.serial(dim):
                            value: T.let[T.float32] = x[0, n - 1, k]
                            square[0] += value * value
                            total[0] += value * gain[k] * table[row, k]
                        out[0, 0, row] = total[0] * T.rsqrt(square[0] / T.float32(dim) + T.float32(eps))

    return last_logits
