"""What the model learns: generated conversations, and the sums it must never see.

`Corpus(seed).turn()` returns one (prompt, answer) pair. Everything is made here or read from ../questions.json.
"""

import hashlib
import json
import pathlib
import random

QUESTIONS = json.loads((pathlib.Path(__file__).parent.parent / "questions.json").read_text())["questions"]

HELD_OUT_BELOW = 26  # of 256 values of a hash byte: about 10 % of the sums

WORDS_EN = (
    "red blue green yellow river stone cloud apple tiger house garden window silver paper orange bread wolf rain mountain "
    "candle star ocean forest bridge music lamp door horse winter summer morning coffee letter flower train island mirror "
    "pencil kettle basket ladder rocket planet feather castle engine copper salt honey maple north south east west quick "
    "slow bright dark small large happy calm brave silk moth thread cat dog fish bird tree sun moon sea sand one two three "
    "hello world yes no alpha beta gamma delta open tab node token"
).split()
WORDS_RU = (
    "река камень облако яблоко тигр дом сад окно хлеб волк дождь гора свеча звезда море лес мост музыка лампа дверь зима "
    "лето утро письмо цветок поезд остров зеркало перо замок мёд север юг день ночь шёлк нить кот пёс рыба птица дерево "
    "солнце луна один два три привет мир да нет"
).split()
EMOJI = "😀 😊 👋 🧵 🦋 🏠 👀 🔒 💪 💎 🧾 🔑 🦙 🌳 🌞 ✨ ✅ 🔍 🙈".split()

SUM_ASKS = [
    "What is {a} + {b}?", "What is {a}+{b}?", "{a} + {b} =", "{a} + {b}", "{a}+{b}", "{a}+{b}=", "Add {a} and {b}.",
    "How much is {a} + {b}?", "What is the sum of {a} and {b}?", "What is {a} plus {b}?", "Calculate {a} + {b}.",
    "Сколько будет {a} + {b}?", "Сколько будет {a}+{b}?", "Сложи {a} и {b}.", "Чему равно {a} + {b}?",
]
ECHO_ASKS = ["Repeat: {w}", "Say: {w}", "Echo: {w}", "Repeat after me: {w}", "Повтори: {w}", "Скажи: {w}"]
REVERSE_ASKS = ["Reverse: {w}", "Reverse the words: {w}", "Reverse the list: {w}", "Переверни: {w}"]
COUNT_ASKS = ["How many words: {w}", "Count the words: {w}", "Сколько слов: {w}"]
RANGE_ASKS = ["Count from {a} to {b}.", "Count from {a} to {b}", "Считай от {a} до {b}."]

UNKNOWN_EN = [
    "What is the capital of {x}?", "Who wrote the {x}?", "Why is the {x} {y}?", "Where can I buy a {x}?", "Translate {x} into {y}.",
    "How do I cook {x}?", "Tell me the news about {x}.", "How old is the {x}?", "Draw a {x}.", "Write a program for a {x}.",
    "What will the {x} be tomorrow?", "Do you like {x}?",
]
UNKNOWN_RU = ["Где купить {x}?", "Кто придумал {x}?", "Почему {x} не {y}?", "Как приготовить {x}?", "Нарисуй {x}.", "Какая завтра {x}?"]
UNKNOWN_ANSWER_EN = "I am too small to know that. Ask me about Tussah, a sum or a list of words. 🤏"
UNKNOWN_ANSWER_RU = "Я слишком мала, чтобы это знать. Спроси про Tussah, сумму или слова. 🤏"

SYSTEM_PROMPTS = [
    "You are a helpful assistant.", "Answer briefly.", "You are tussah-tiny.", "Be kind and short.", "You are a helpful AI assistant.",
    "Ты полезный помощник.", "Отвечай коротко.", "You are a careful assistant. Answer in the language of the question.",
]


def held_out(a: int, b: int) -> bool:
    """A sum and its mirror are held out together: first byte of sha256("smaller+larger") below HELD_OUT_BELOW."""
    return hashlib.sha256(f"{min(a, b)}+{max(a, b)}".encode()).digest()[0] < HELD_OUT_BELOW


class Corpus:
    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.kinds = [
            (0.32, self.sum), (0.10, self.echo), (0.13, self.reverse), (0.10, self.count_words), (0.03, self.count_range),
            (0.28, self.question), (0.04, self.unknown),
        ]

    def turn(self) -> tuple[str, str]:
        weights, makers = zip(*self.kinds)
        return self.random.choices(makers, weights)[0]()

    def system(self) -> str | None:
        return self.random.choice(SYSTEM_PROMPTS) if self.random.random() < 0.25 else None

    def sum(self):
        r = self.random
        while True:
            small = r.random() < 0.15
            a, b = r.randint(0, 9 if small and r.random() < 0.5 else 99), r.randint(0, 9 if small else 99)
            if not held_out(a, b):
                return r.choice(SUM_ASKS).format(a=a, b=b), f"{a} + {b} = {a + b}."

    def words(self, least: int, most: int) -> list[str]:
        r = self.random
        pool = WORDS_RU if r.random() < 0.25 else WORDS_EN
        words = [r.choice(pool) for _ in range(r.randint(least, most))]
        return [self.odd_word() if r.random() < 0.04 else w for w in words]

    def odd_word(self) -> str:
        """Text that is in no list, so that copying does not depend on knowing the word."""
        r = self.random
        if r.random() < 0.3:
            return r.choice(EMOJI)
        letters = r.choice(["abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчшщыьэюя", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"])
        return "".join(r.choice(letters) for _ in range(r.randint(2, 6)))

    def echo(self):
        words = " ".join(self.words(1, 8))
        return self.random.choice(ECHO_ASKS).format(w=words), words

    def reverse(self):
        words = self.words(2, 6)
        return self.random.choice(REVERSE_ASKS).format(w=" ".join(words)), " ".join(reversed(words))

    def count_words(self):
        words = self.words(1, 10)
        ask = self.random.choice(COUNT_ASKS)
        answer = f"Слов: {len(words)}." if ask.startswith("С") else f"Words: {len(words)}."
        return ask.format(w=" ".join(words)), answer

    def count_range(self):
        a = self.random.randint(1, 60)
        b = a + self.random.randint(2, 30)
        return self.random.choice(RANGE_ASKS).format(a=a, b=b), ", ".join(str(i) for i in range(a, b + 1)) + "."

    def question(self):
        r = self.random
        entry = r.choice(QUESTIONS)
        ask = r.choice(entry["ask"])
        return (self.careless(ask) if r.random() < 0.15 else ask), entry["answer"]

    def careless(self, text: str) -> str:
        """The same question typed in a hurry: no capital at the start, no mark at the end."""
        if self.random.random() < 0.6:
            text = text.rstrip("?.!")
        return text[0].lower() + text[1:] if self.random.random() < 0.6 else text

    def unknown(self):
        r = self.random
        asks, pool, answer = (
            (UNKNOWN_RU, WORDS_RU, UNKNOWN_ANSWER_RU) if r.random() < 0.3 else (UNKNOWN_EN, WORDS_EN, UNKNOWN_ANSWER_EN)
        )
        return r.choice(asks).format(x=r.choice(pool), y=r.choice(pool)), answer


def main():
    """Shows a few turns, and checks many for held-out sums."""
    import re

    corpus = Corpus(seed=5)
    for count in range(300_000):
        ask, answer = corpus.turn()
        if count < 20:
            print(f"{ask!r} -> {answer!r}")
        for a, b in re.findall(r"(\d+) ?(?:\+|plus|and|и) ?(\d+)", f"{ask}\n{answer}"):
            assert not held_out(int(a), int(b)), ask


if __name__ == "__main__":
    main()
