"""The kernels that TVM's runtime KV cache calls, in the manner of kernels.py.

Their signatures are the runtime's (src/runtime/vm/attn_backend.h and paged_kv_cache.cc in the wheel). The cache keeps
one sequence, because web-llm asks for one, so the index pointers of a batch are not read. Its index arrays are slices
of one buffer, hence the element offsets.
"""

import math

from tvm.script import tirx as T

from kernels import F32, I32, LOWEST, THREADS, blocks

PAGE = 16  # tokens in a page of the cache; web-llm asks for this size


def choose(at, values: list[int]):
    """values[at], as selects: a kernel has no constant arrays"""
    chosen = T.int32(values[-1])
    for i in reversed(range(len(values) - 1)):
        chosen = T.Select(at == i, T.int32(values[i]), chosen)
    return chosen


def polynomial(x, coefficients: list[float]):
    """The coefficient of the highest power comes last."""
    total = T.float32(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * x + T.float32(c)
    return total


SINE = [(-1) ** i / math.factorial(2 * i + 1) for i in range(5)]  # of the square, without the factor x
COSINE = [(-1) ** i / math.factorial(2 * i) for i in range(6)]


@T.macro
def sine_and_cosine(phase, sine, cosine):
    """Sets sine[0] and cosine[0] of the angle phase[0], in units of 2 ** -32 turns, to within 2e-7.

    WGSL promises its own sine and cosine only to 2 ** -11, and adapters differ; plain arithmetic is the same on all.
    (Values go through buffers because TVM copies the expression of a let to each of its uses.)
    """
    quarter = T.sblock_alloc_buffer((1,), I32, scope="local")
    x = T.sblock_alloc_buffer((1,), F32, scope="local")
    square = T.sblock_alloc_buffer((1,), F32, scope="local")
    quarter[0] = T.shift_right(phase[0] + T.int32(1 << 29), T.int32(30))
    x[0] = T.Cast(F32, phase[0] - T.shift_left(quarter[0], T.int32(30))) * T.float32(2 * math.pi / 2**32)
    square[0] = x[0] * x[0]
    sine[0] = x[0] * polynomial(square[0], SINE)
    cosine[0] = polynomial(square[0], COSINE)
    if T.bitwise_and(quarter[0], 1) == 1:
        x[0] = sine[0]
        sine[0] = cosine[0]
        cosine[0] = -x[0]
    if T.bitwise_and(quarter[0], 2) == 2:
        sine[0] = -sine[0]
        cosine[0] = -cosine[0]


def rotate_split(heads: int, kv_heads: int, head_dim: int, theta: float):
    """Splits qkv into q, k and v and rotates q and k by their positions. A thread does one pair of one head."""
    half = head_dim // 2
    all_heads = heads + 2 * kv_heads
    # Turns per position as fractions of 32 bits: their product with a position wraps around as angles do. They are
    # integers because TVM writes a float constant with only 7 digits, which shows in the logits.
    frequencies = [round(theta ** (-i / half) / (2 * math.pi) * 2**32) for i in range(half)]

    @T.prim_func(s_tir=True)
    def rotate_split(qkv_: T.handle, positions_: T.handle, q_: T.handle, k_: T.handle, v_: T.handle, apply: T.int64):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        n = T.int64()
        positions_offset = T.int32()
        qkv = T.match_buffer(qkv_, (n, all_heads, head_dim), F32)
        positions = T.match_buffer(positions_, (n,), I32, elem_offset=positions_offset)
        q = T.match_buffer(q_, (n, heads, head_dim), F32)
        k = T.match_buffer(k_, (n, kv_heads, head_dim), F32)
        v = T.match_buffer(v_, (n, kv_heads, head_dim), F32)
        for t in T.thread_binding(n, thread="blockIdx.y"):
            for b in T.thread_binding(blocks(all_heads * half), thread="blockIdx.x"):
                for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                    with T.sblock("rotate_split"):
                        T.reads()
                        T.writes()
                        head: T.let[T.int32] = (b * THREADS + i) // half
                        at: T.let[T.int32] = (b * THREADS + i) % half
                        if head < all_heads:
                            first: T.let[T.float32] = qkv[t, head, at]
                            second: T.let[T.float32] = qkv[t, head, at + half]
                            sine = T.sblock_alloc_buffer((1,), F32, scope="local")
                            cosine = T.sblock_alloc_buffer((1,), F32, scope="local")
                            phase = T.sblock_alloc_buffer((1,), I32, scope="local")
                            phase[0] = positions[t] * choose(at, frequencies)
                            sine_and_cosine(phase, sine, cosine)
                            if head < heads:
                                q[t, head, at] = first * cosine[0] - second * sine[0]
                                q[t, head, at + half] = second * cosine[0] + first * sine[0]
                            elif head < heads + kv_heads:
                                k[t, head - heads, at] = first * cosine[0] - second * sine[0]
                                k[t, head - heads, at + half] = second * cosine[0] + first * sine[0]
                            else:
                                v[t, head - heads - kv_heads, at] = first
                                v[t, head - heads - kv_heads, at + half] = second

    return rotate_split


def append(kv_heads: int, head_dim: int):
    """Writes the new tokens' k and v into their places in the cache's pages."""

    @T.prim_func(s_tir=True)
    def append(pages_: T.handle, k_: T.handle, v_: T.handle, places_: T.handle):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        n = T.int64()
        page_count = T.int64()
        pages_offset = T.int64()
        places_offset = T.int32()
        pages = T.match_buffer(pages_, (page_count, 2, kv_heads, PAGE, head_dim), F32, elem_offset=pages_offset)
        k = T.match_buffer(k_, (n, kv_heads, head_dim), F32)
        v = T.match_buffer(v_, (n, kv_heads, head_dim), F32)
        places = T.match_buffer(places_, (n,), I32, elem_offset=places_offset)
        for t in T.thread_binding(n, thread="blockIdx.y"):
            for b in T.thread_binding(blocks(kv_heads * head_dim), thread="blockIdx.x"):
                for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                    with T.sblock("append"):
                        T.reads()
                        T.writes()
                        place: T.let[T.int32] = places[t]
                        head: T.let[T.int32] = (b * THREADS + i) // head_dim
                        at: T.let[T.int32] = (b * THREADS + i) % head_dim
                        if head < kv_heads and place >= 0:
                            pages[place // PAGE, 0, head, place % PAGE, at] = k[t, head, at]
                            pages[place // PAGE, 1, head, place % PAGE, at] = v[t, head, at]

    return append


@T.macro
def attend(query, count, scale, head_dim, place_of, key_at, value_at, out, lse, t, head):
    """One thread's attention of one token's head over `count` keys, in one pass with a running maximum.

    `place_of` maps the number of a key to where it lies. `lse` is the logarithm to base 2 of the softmax's denominator,
    by which the runtime merges two parts.
    """
    top = T.sblock_alloc_buffer((1,), F32, scope="local")
    below = T.sblock_alloc_buffer((1,), F32, scope="local")
    mixed = T.sblock_alloc_buffer((head_dim,), F32, scope="local")
    score = T.sblock_alloc_buffer((1,), F32, scope="local")
    shrink = T.sblock_alloc_buffer((1,), F32, scope="local")
    asked = T.sblock_alloc_buffer((head_dim,), F32, scope="local")
    top[0] = T.float32(LOWEST)
    below[0] = T.float32(0)
    for c in T.unroll(head_dim):
        mixed[c] = T.float32(0)
        asked[c] = query[t, head, c] * scale * T.float32(math.log2(math.e))
    for j in T.serial(count):
        place: T.let[T.int32] = place_of(j)
        score[0] = T.float32(0)
        for c in T.unroll(head_dim):
            score[0] += asked[c] * key_at(place, c)
        shrink[0] = T.exp2(top[0] - T.max(top[0], score[0]))
        top[0] = T.max(top[0], score[0])
        score[0] = T.exp2(score[0] - top[0])
        below[0] = below[0] * shrink[0] + score[0]
        for c in T.unroll(head_dim):
            mixed[c] = mixed[c] * shrink[0] + score[0] * value_at(place, c)
    for c in T.unroll(head_dim):
        out[t, head, c] = mixed[c] / below[0]
    lse[t, head] = top[0] + T.log2(below[0])


def attend_chunk(heads: int, kv_heads: int, head_dim: int):
    """Attention of a chunk's tokens over the chunk itself; a token sees itself and those before it."""
    group = heads // kv_heads

    @T.prim_func(s_tir=True)
    def attend_chunk(
        q_: T.handle, q_indptr: T.handle, k_: T.handle, v_: T.handle, kv_indptr: T.handle, q_positions: T.handle,
        k_offset: T.handle, out_: T.handle, lse_: T.handle,
        causal: T.int32, rotary_mode: T.int32, rope_scale: T.float32, rope_theta: T.float32, scale: T.float32,
    ):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        n = T.int32()
        q = T.match_buffer(q_, (n, heads, head_dim), F32)
        k = T.match_buffer(k_, (n, kv_heads, head_dim), F32)
        v = T.match_buffer(v_, (n, kv_heads, head_dim), F32)
        out = T.match_buffer(out_, (n, heads, head_dim), F32)
        lse = T.match_buffer(lse_, (n, heads), F32)
        for b in T.thread_binding((n * heads + THREADS - 1) // THREADS, thread="blockIdx.x"):
            for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                with T.sblock("attend_chunk"):
                    T.reads()
                    T.writes()
                    t: T.let[T.int32] = (b * THREADS + i) // heads
                    head: T.let[T.int32] = (b * THREADS + i) % heads
                    if t < n:
                        attend(
                            q, T.if_then_else(causal > 0, t + 1, n), scale, head_dim, lambda j: j,
                            lambda at, c: k[at, head // group, c], lambda at, c: v[at, head // group, c],
                            out, lse, t, head,
                        )

    return attend_chunk


def attend_pages(heads: int, kv_heads: int, head_dim: int, decode: bool):
    """Attention over the whole cache: of the newest token (decode), or of a chunk not yet in the cache (prefill)."""
    group = heads // kv_heads

    @T.macro
    def body(q_, pages_, page_ids_, last_page_, out_, lse_, scale):
        n = T.int32()
        page_count = T.int32()
        used_pages = T.int32()
        pages_offset = T.int64()
        page_ids_offset = T.int32()
        last_page_offset = T.int32()
        q = T.match_buffer(q_, (n, heads, head_dim), F32)
        pages = T.match_buffer(pages_, (page_count, 2, kv_heads, PAGE, head_dim), F32, elem_offset=pages_offset)
        page_ids = T.match_buffer(page_ids_, (used_pages,), I32, elem_offset=page_ids_offset)
        last_page = T.match_buffer(last_page_, (1,), I32, elem_offset=last_page_offset)
        out = T.match_buffer(out_, (n, heads, head_dim), F32)
        lse = T.match_buffer(lse_, (n, heads), F32)
        for b in T.thread_binding((n * heads + THREADS - 1) // THREADS, thread="blockIdx.x"):
            for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                with T.sblock("attend_pages"):
                    T.reads()
                    T.writes()
                    t: T.let[T.int32] = (b * THREADS + i) // heads
                    head: T.let[T.int32] = (b * THREADS + i) % heads
                    if t < n:
                        attend(
                            q, (used_pages - 1) * PAGE + last_page[0], scale, head_dim,
                            lambda j: page_ids[j // PAGE] * PAGE + j % PAGE,
                            lambda at, c: pages[at // PAGE, 0, head // group, at % PAGE, c],
                            lambda at, c: pages[at // PAGE, 1, head // group, at % PAGE, c],
                            out, lse, t, head,
                        )

    if decode:

        @T.prim_func(s_tir=True)
        def attend_pages_decode(
            q: T.handle, pages: T.handle, page_indptr: T.handle, page_ids: T.handle, last_page: T.handle,
            k_offset: T.handle, q_positions: T.handle, out: T.handle, lse: T.handle,
            rotary_mode: T.int32, rope_scale: T.float32, rope_theta: T.float32, scale: T.float32,
        ):
            T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
            body(q, pages, page_ids, last_page, out, lse, scale)

        return attend_pages_decode

    @T.prim_func(s_tir=True)
    def attend_pages_prefill(
        q: T.handle, q_indptr: T.handle, pages: T.handle, page_indptr: T.handle, page_ids: T.handle,
        last_page: T.handle, k_offset: T.handle, q_positions: T.handle, out: T.handle, lse: T.handle,
        causal: T.int32, rotary_mode: T.int32, rope_scale: T.float32, rope_theta: T.float32, scale: T.float32,
    ):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        body(q, pages, page_ids, last_page, out, lse, scale)

    return attend_pages_prefill


def merge(heads: int, head_dim: int):
    """Joins two parts of one attention in place, each weighted by its share of the softmax's denominator."""

    @T.prim_func(s_tir=True)
    def merge(out_: T.handle, lse_: T.handle, other_: T.handle, other_lse_: T.handle):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        n = T.int32()
        out = T.match_buffer(out_, (n, heads, head_dim), F32)
        lse = T.match_buffer(lse_, (n, heads), F32)
        other = T.match_buffer(other_, (n, heads, head_dim), F32)
        other_lse = T.match_buffer(other_lse_, (n, heads), F32)
        for b in T.thread_binding((n * heads + THREADS - 1) // THREADS, thread="blockIdx.x"):
            for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                with T.sblock("merge"):
                    T.reads()
                    T.writes()
                    t: T.let[T.int32] = (b * THREADS + i) // heads
                    head: T.let[T.int32] = (b * THREADS + i) % heads
                    if t < n:
                        mine = T.sblock_alloc_buffer((1,), F32, scope="local")
                        theirs = T.sblock_alloc_buffer((1,), F32, scope="local")
                        top = T.sblock_alloc_buffer((1,), F32, scope="local")
                        top[0] = T.max(lse[t, head], other_lse[t, head])
                        mine[0] = T.exp2(lse[t, head] - top[0])
                        theirs[0] = T.exp2(other_lse[t, head] - top[0])
                        for c in T.serial(head_dim):
                            out[t, head, c] = (out[t, head, c] * mine[0] + other[t, head, c] * theirs[0]) / (
                                mine[0] + theirs[0]
                            )
                        lse[t, head] = top[0] + T.log2(mine[0] + theirs[0])

    return merge

