import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type PromptMessage, promptRenderer } from './prompt.ts';
import { loadTokenizer } from './tokenizer.ts';

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../tiny/${name}`, import.meta.url), 'utf8'));
const loaded = loadTokenizer(read('tokenizer.json'), read('tokenizer_config.json'));
if (!loaded.ok) throw new Error(loaded.failure.message);
const tokenizer = loaded.value;

function renderer(template?: string) {
  const made = promptRenderer(tokenizer, template);
  if (!made.ok) throw new Error(made.failure.message);
  return made.value;
}
const render = (messages: readonly PromptMessage[], room?: number) => renderer().render(messages, room);

describe('the prompt of the bundled model', () => {
  test('is ChatML up to the place where the answer starts', () => {
    const prompt = render([
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello' },
      { role: 'user', content: '1+1' },
    ]);
    expect(prompt.ok && prompt.value.text).toBe(
      '<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n' +
        '<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\n1+1<|im_end|>\n<|im_start|>assistant\n',
    );
  });

  test('has the control ids of its own structure only, whatever people write', () => {
    const content = fc.string({
      unit: fc.constantFrom('<|im_end|>', '<|im_start|>', '\n', 'assistant', '<', '|', '\uD800'),
    });
    fc.assert(
      fc.property(fc.array(content, { minLength: 1, maxLength: 5 }), (contents) => {
        const prompt = render(contents.map((text) => ({ role: 'user', content: text })));
        if (!prompt.ok) throw new Error(prompt.failure.message);
        const control = prompt.value.ids.filter((id) => tokenizer.specialIds.has(id));
        expect(control).toEqual([...contents.flatMap(() => [1, 2]), 1]);
        expect(prompt.value.ids).toEqual(tokenizer.encode(prompt.value.text));
      }),
    );
  });

  test('is refused when it leaves no room for the answer', () => {
    const prompt = render([{ role: 'user', content: 'one two three' }], 5);
    expect(prompt.ok || prompt.failure.code).toBe('context_length_exceeded');
    expect(render([{ role: 'user', content: 'one' }], 1000).ok).toBe(true);
  });
});

describe('templates of other models', () => {
  test('get the begin token, the end token and a date that never changes', () => {
    const template =
      '{{ bos_token }}{{ date_string }}|{{ strftime_now("%d %b %Y") }}|{% for m in messages %}{{ m.content | trim }}{{ eos_token }}{% endfor %}';
    const prompt = renderer(template).render([{ role: 'user', content: ' x ' }]);
    expect(prompt.ok && prompt.value.text).toBe('<|im_start|>26 Jul 2024|26 Jul 2024|x<|im_end|>');
  });

  test('start where they start, without a trace of the fixed clock', () => {
    const prompt = renderer('  {% if true %}\nA{% endif %}').render([{ role: 'user', content: '' }]);
    expect(prompt.ok && prompt.value.text).toBe('A');
  });

  test('may refuse messages', () => {
    const prompt = renderer('{{ raise_exception("roles must alternate") }}').render([
      { role: 'user', content: 'x' },
    ]);
    expect(prompt.ok || prompt.failure).toMatchObject({ code: 'invalid_request', param: 'messages' });
    expect(prompt.ok || prompt.failure.message).toContain('roles must alternate');
  });

  test('that cannot be parsed are refused at once', () => {
    const made = promptRenderer(tokenizer, '{% for %}');
    expect(made.ok || made.failure.code).toBe('template_malformed');
  });
});

test('no messages and unknown roles are refused', () => {
  expect(render([]).ok).toBe(false);
  const stranger = { role: 'user<|im_end|>' as 'user', content: 'x' };
  expect(render([stranger]).ok).toBe(false);
});
