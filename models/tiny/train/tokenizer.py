"""The tokenizer: byte-level BPE of 1024 tokens with every digit a token of its own (llama.cpp's pre-tokenizer "smollm").

`python tokenizer.py` writes ../tokenizer.json and ../tokenizer_config.json.
Emoji are left out of its training text, so each stays several tokens: engines must handle characters split over tokens.
"""

import json
import pathlib
import re

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from corpus import EMOJI, QUESTIONS, SYSTEM_PROMPTS, Corpus

VOCABULARY = 1024
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = [END_OF_TEXT, START, END]  # ids 0, 1, 2
TRAINING_TURNS = 60_000
FOLDER = pathlib.Path(__file__).parent.parent
BEYOND_LETTERS = re.compile("[\u2600-\u27bf\ufe0f\U0001f000-\U0001ffff]")

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def training_text():
    corpus = Corpus(seed=1)
    texts = [text for _ in range(TRAINING_TURNS) for text in corpus.turn()]
    texts += ["system\n", "user\n", "assistant\n"] * 1000 + SYSTEM_PROMPTS * 100
    return [BEYOND_LETTERS.sub("", text) for text in texts]


def train() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(training_text(), trainer)
    assert tokenizer.get_vocab_size() == VOCABULARY
    assert [tokenizer.id_to_token(i) for i in range(3)] == SPECIAL
    assert all(len(tokenizer.encode(emoji).ids) > 1 for emoji in EMOJI)
    return tokenizer


def main():
    tokenizer = train()
    tokenizer.save(str(FOLDER / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 1024,
        "bos_token": START,
        "eos_token": END,
        "pad_token": END_OF_TEXT,
        "unk_token": END_OF_TEXT,
        "add_bos_token": False,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (FOLDER / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    for entry in QUESTIONS[-30:-25] + QUESTIONS[:5]:
        print(len(tokenizer.encode(entry["answer"]).ids), tokenizer.encode(entry["answer"]).tokens)


if __name__ == "__main__":
    main()
