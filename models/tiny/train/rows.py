"""Rows of tokens for training: conversations rendered by the ChatML template and packed without padding.

A conversation is a segment of its own with positions from 0, as it is when an engine meets it. Only answers are learned
(`learn` is 1 on the tokens of an answer and its <|im_end|>).
"""

import functools

import numpy as np
from tokenizers import Tokenizer

from corpus import Corpus

START, END = 1, 2


class Rows:
    def __init__(self, tokenizer: Tokenizer, corpus: Corpus):
        self.corpus = corpus
        self.encode = functools.lru_cache(100_000)(lambda text: tokenizer.encode(text).ids)
        self.user, self.assistant, self.newline = (self.encode(t) for t in ("user\n", "assistant\n", "\n"))

    def prompt(self, text: str, system: str | None = None) -> list[int]:
        """One question, up to the place where the answer starts."""
        head = [START, *self.encode("system\n" + system), END, *self.newline] if system else []
        return [*head, START, *self.encode("user\n" + text), END, *self.newline, START, *self.assistant]

    def conversation(self, turns: int, limit: int) -> tuple[list[int], list[int]]:
        tokens, learn = [], []
        system = self.corpus.system()
        for turn in range(turns):
            ask, answer = self.corpus.turn()
            prompt = self.prompt(ask, system if turn == 0 else None)
            ids = [*self.encode(answer), END]
            tokens += [*prompt, *ids, *self.newline]
            learn += [0] * len(prompt) + [1] * len(ids) + [0] * len(self.newline)
            if len(tokens) > limit:
                break
        return tokens[:limit], learn[:limit]

    def row(self, length: int, whole_share: float):
        """A share of rows is one conversation from end to end; the others hold conversations of 1 to 6 turns."""
        random = self.corpus.random
        tokens, learn, segments, positions = [], [], [], []
        whole = random.random() < whole_share
        segment = 0
        while len(tokens) <= length:
            turns = 1000 if whole else random.choices([1, 2, 3, 4, 5, 6], [50, 20, 10, 10, 5, 5])[0]
            new, learned = self.conversation(turns, length + 1 - len(tokens))
            tokens += new
            learn += learned
            positions += range(len(new))
            segments += [segment] * len(new)
            segment += 1
        return tokens, learn, segments, positions

    def batch(self, count: int, length: int, whole_share: float):
        """-> int32 arrays [count, length + 1]: tokens, learn, segments, positions"""
        return tuple(np.array(part, np.int32) for part in zip(*(self.row(length, whole_share) for _ in range(count))))
