"""What web-llm does with logits on the GPU. It looks all of these up when it loads a model.

Three change the logits in place, so that a caller's constraints act before sampling; then softmax, sort and sample,
at every temperature, pick one token. web-llm samples one sequence at a time, so all batches are of one.
"""

import tvm
from tvm import relax as rx
from tvm.script import tirx as T

import kernels
from kernels import F32, I32, LOWEST, THREADS, blocks


def in_place(vocab: int) -> dict[str, tvm.tirx.PrimFunc]:
    """Functions exported as they are: no result, the logits change."""
    words = -(-vocab // 32)

    @T.prim_func(s_tir=True)
    def apply_logit_bias_inplace(logits: T.Buffer((1, vocab), F32), pos2seq_: T.handle, ids_: T.handle, bias_: T.handle):
        """logits[sequence, id] += bias"""
        T.func_attr({"global_symbol": "apply_logit_bias_inplace", "tirx.is_scheduled": True, "tirx.noalias": True})
        n = T.int32()
        pos2seq = T.match_buffer(pos2seq_, (n,), I32)
        ids = T.match_buffer(ids_, (n,), I32)
        bias = T.match_buffer(bias_, (n,), F32)
        for b in T.thread_binding((n + THREADS - 1) // THREADS, thread="blockIdx.x"):
            for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                with T.sblock("bias"):
                    T.reads()
                    T.writes()
                    at: T.let[T.int32] = b * THREADS + i
                    if at < n:
                        logits[pos2seq[at], ids[at]] += bias[at]

    @T.prim_func(s_tir=True)
    def apply_penalty_inplace(
        logits: T.Buffer((1, vocab), F32), seq_ids: T.Buffer((1,), I32), pos2seq_: T.handle, ids_: T.handle,
        counts_: T.handle, penalties: T.Buffer((1, 3), F32),
    ):
        """Penalties of one sequence: presence, frequency, repetition. `ids` are the tokens that appeared, each once."""
        T.func_attr({"global_symbol": "apply_penalty_inplace", "tirx.is_scheduled": True, "tirx.noalias": True})
        n = T.int32()
        pos2seq = T.match_buffer(pos2seq_, (n,), I32)
        ids = T.match_buffer(ids_, (n,), I32)
        counts = T.match_buffer(counts_, (n,), I32)
        for b in T.thread_binding((n + THREADS - 1) // THREADS, thread="blockIdx.x"):
            for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                with T.sblock("penalty"):
                    T.reads()
                    T.writes()
                    at: T.let[T.int32] = b * THREADS + i
                    if at < n:
                        row: T.let[T.int32] = seq_ids[pos2seq[at]]
                        value: T.let[T.float32] = (
                            logits[row, ids[at]]
                            - penalties[pos2seq[at], 0]
                            - T.Cast(F32, counts[at]) * penalties[pos2seq[at], 1]
                        )
                        logits[row, ids[at]] = T.Select(
                            value < T.float32(0), value * penalties[pos2seq[at], 2], value / penalties[pos2seq[at], 2]
                        )

    @T.prim_func(s_tir=True)
    def apply_bitmask_inplace(
        logits: T.Buffer((1, vocab), F32), seq_ids: T.Buffer((1,), I32), mask: T.Buffer((1, words), I32)
    ):
        """A token whose bit is 0 becomes impossible; the first token of a word is its least significant bit."""
        T.func_attr({"global_symbol": "apply_bitmask_inplace", "tirx.is_scheduled": True, "tirx.noalias": True})
        for b in T.thread_binding(blocks(vocab), thread="blockIdx.x"):
            for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                with T.sblock("bitmask"):
                    T.reads()
                    T.writes()
                    at: T.let[T.int32] = b * THREADS + i
                    if at < vocab:
                        if T.bitwise_and(T.shift_right(mask[seq_ids[0], at // 32], at % 32), 1) == 0:
                            logits[seq_ids[0], at] = T.min_value(F32)

    return {f.attrs["global_symbol"]: f for f in (apply_logit_bias_inplace, apply_penalty_inplace, apply_bitmask_inplace)}


def softmax_sums(vocab: int):
    """-> [maximum, sum of exponentials], by one thread: the vocabulary is small, and the order of the sum stays fixed."""

    @T.prim_func(s_tir=True)
    def softmax_sums(logits: T.Buffer((1, 1, vocab), F32), temperature: T.Buffer((1,), F32), out: T.Buffer((2,), F32)):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        for b in T.thread_binding(1, thread="blockIdx.x"):
            for i in T.thread_binding(1, thread="threadIdx.x"):
                with T.sblock("softmax_sums"):
                    T.reads()
                    T.writes()
                    top = T.sblock_alloc_buffer((1,), F32, scope="local")
                    total = T.sblock_alloc_buffer((1,), F32, scope="local")
                    top[0] = T.float32(LOWEST)
                    total[0] = T.float32(0)
                    for v in T.serial(vocab):
                        top[0] = T.max(top[0], logits[0, 0, v])
                    for v in T.serial(vocab):
                        total[0] += T.exp((logits[0, 0, v] - top[0]) / temperature[0])
                    out[0] = top[0]
                    out[1] = total[0]

    return softmax_sums


def softmax_shares(vocab: int):
    @T.prim_func(s_tir=True)
    def softmax_shares(
        logits: T.Buffer((1, 1, vocab), F32), temperature: T.Buffer((1,), F32), sums: T.Buffer((2,), F32),
        out: T.Buffer((1, 1, vocab), F32),
    ):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        for b in T.thread_binding(blocks(vocab), thread="blockIdx.x"):
            for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                with T.sblock("softmax_shares"):
                    T.reads()
                    T.writes()
                    at: T.let[T.int32] = b * THREADS + i
                    if at < vocab:
                        out[0, 0, at] = T.exp((logits[0, 0, at] - sums[0]) / temperature[0]) / sums[1]

    return softmax_shares


def rank_sort(vocab: int):
    """Descending; equal probabilities keep the order of their ids. A thread counts how many go before its token."""

    @T.prim_func(s_tir=True)
    def rank_sort(
        probs: T.Buffer((1, vocab), F32), sorted_probs: T.Buffer((1, vocab), F32), sorted_ids: T.Buffer((1, vocab), I32)
    ):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        for b in T.thread_binding(blocks(vocab), thread="blockIdx.x"):
            for i in T.thread_binding(THREADS, thread="threadIdx.x"):
                with T.sblock("rank_sort"):
                    T.reads()
                    T.writes()
                    rank = T.sblock_alloc_buffer((1,), I32, scope="local")
                    at: T.let[T.int32] = b * THREADS + i
                    if at < vocab:
                        mine: T.let[T.float32] = probs[0, at]
                        rank[0] = 0
                        for v in T.serial(at):
                            rank[0] += T.Cast(I32, probs[0, v] >= mine)
                        for v in T.serial(vocab - at):
                            rank[0] += T.Cast(I32, probs[0, at + v] > mine)
                        sorted_probs[0, rank[0]] = mine
                        sorted_ids[0, rank[0]] = at

    return rank_sort


def pick_top_p(vocab: int):
    """The nucleus is the shortest prefix whose probabilities reach top_p; u in [0, 1) picks in it by its cumulated share."""

    @T.prim_func(s_tir=True)
    def pick_top_p(
        probs: T.Buffer((1, vocab), F32), ids: T.Buffer((1, vocab), I32), uniform: T.Buffer((1,), F32),
        sample_indices: T.Buffer((1,), I32), top_p: T.Buffer((1,), F32), out: T.Buffer((1,), I32),
    ):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        for b in T.thread_binding(1, thread="blockIdx.x"):
            for i in T.thread_binding(1, thread="threadIdx.x"):
                with T.sblock("pick_top_p"):
                    T.reads()
                    T.writes()
                    size = T.sblock_alloc_buffer((1,), I32, scope="local")
                    place = T.sblock_alloc_buffer((1,), I32, scope="local")
                    total = T.sblock_alloc_buffer((1,), F32, scope="local")
                    reached = T.sblock_alloc_buffer((1,), F32, scope="local")
                    row: T.let[T.int32] = sample_indices[0]
                    total[0] = probs[row, 0]
                    size[0] = 1
                    while size[0] < vocab and total[0] < top_p[row]:
                        total[0] += probs[row, size[0]]
                        size[0] += 1
                    reached[0] = probs[row, 0]
                    place[0] = 0
                    while place[0] + 1 < size[0] and uniform[0] * total[0] >= reached[0]:
                        place[0] += 1
                        reached[0] += probs[row, place[0]]
                    out[0] = ids[row, place[0]]

    return pick_top_p


def add_to(mod: tvm.IRModule, vocab: int) -> tvm.IRModule:
    """-> the module with all six functions"""
    bb = rx.BlockBuilder(mod)
    row, one = rx.TensorType((1, vocab), F32), rx.TensorType((1,), F32)
    ids, index = rx.TensorType((1, vocab), I32), rx.TensorType((1,), I32)
    logits = rx.TensorType((1, 1, vocab), F32)

    def emit(name, args, body):
        with bb.function(name, args):
            with bb.dataflow():
                result = bb.emit_output(body(*args))
            bb.emit_func_output(result)

    def call(kernel, args, out):
        return bb.emit(rx.call_tir(kernels.add_to(bb, kernel), list(args), out))

    def softmax(x, temperature):
        sums = call(softmax_sums(vocab), (x, temperature), rx.TensorType((2,), F32))
        return call(softmax_shares(vocab), (x, temperature, sums), logits)

    emit("softmax_with_temperature", [rx.Var("logits", logits), rx.Var("temperature", one)], softmax)
    emit("argsort_probs", [rx.Var("probs", row)], lambda probs: call(rank_sort(vocab), (probs,), [row, ids]))
    emit(
        "sample_with_top_p",
        [rx.Var("sorted_probs", row), rx.Var("sorted_ids", ids), rx.Var("uniform", one),
         rx.Var("sample_indices", index), rx.Var("top_p", one)],
        lambda *args: call(pick_top_p(vocab), args, index),
    )
    mod = bb.finalize()
    for name, function in in_place(vocab).items():
        mod[name] = function
    return mod
