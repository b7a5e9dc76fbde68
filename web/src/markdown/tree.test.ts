import { describe, expect, it } from 'vitest';
import { bounds, readMarkdown, type Block, type Inline } from './tree.ts';

/** Every object of a tree, depth first. */
function* nodes(value: unknown): Generator<Record<string, unknown>> {
  if (Array.isArray(value)) for (const item of value) yield* nodes(item);
  else if (typeof value === 'object' && value !== null) {
    yield value as Record<string, unknown>;
    for (const member of Object.values(value)) yield* nodes(member);
  }
}
const all = (text: string) => [...nodes(readMarkdown(text).blocks)];
const hrefs = (text: string) =>
  all(text).flatMap((node) => (typeof node['href'] === 'string' ? [node['href']] : []));
const textOf = (text: string) =>
  all(text)
    .map((node) => (typeof node['text'] === 'string' ? node['text'] : ''))
    .join('');
const first = (text: string): Block | undefined => readMarkdown(text).blocks[0];
const inlines = (text: string): readonly Inline[] => {
  const block = first(text);
  return block !== undefined && 'inlines' in block ? block.inlines : [];
};

describe('readMarkdown', () => {
  it('reads paragraphs, emphasis and code', () => {
    expect(readMarkdown('a **b** *c* ~~d~~ `e`\n\nf').blocks).toEqual([
      {
        type: 'paragraph',
        inlines: [
          { type: 'text', text: 'a ' },
          { type: 'emphasis', tag: 'strong', inlines: [{ type: 'text', text: 'b' }] },
          { type: 'text', text: ' ' },
          { type: 'emphasis', tag: 'em', inlines: [{ type: 'text', text: 'c' }] },
          { type: 'text', text: ' ' },
          { type: 'emphasis', tag: 'del', inlines: [{ type: 'text', text: 'd' }] },
          { type: 'text', text: ' ' },
          { type: 'code', text: 'e' },
        ],
      },
      { type: 'paragraph', inlines: [{ type: 'text', text: 'f' }] },
    ]);
  });

  it('reads headings, code, rules and quotes', () => {
    const { blocks } = readMarkdown('## h\n\n```ts x\nlet a;\n```\n\n---\n\n> q');
    expect(blocks.map((block) => block.type)).toEqual(['heading', 'code', 'rule', 'quote']);
    expect(blocks[1]).toEqual({ type: 'code', language: 'ts', text: 'let a;' });
  });

  it('reads lists with tasks and a start', () => {
    expect(first('3. a\n4. b')).toMatchObject({ type: 'list', ordered: true, start: 3 });
    const list = first('- [x] a\n- [ ] b\n- c');
    expect(list).toMatchObject({ items: [{ task: 'done' }, { task: 'open' }, { task: null }] });
  });

  it('reads tables', () => {
    expect(first('|a|b|\n|-|:-:|\n|1|2|')).toMatchObject({
      type: 'table',
      header: [{ align: null }, { align: 'center' }],
      rows: [[{ inlines: [{ text: '1' }] }, { inlines: [{ text: '2' }] }]],
    });
  });

  it.each([
    ['&lt;b&gt; &amp;lt; &#65;&#x42;', '<b> &lt; AB'],
    ['&unknown; &#0; &#xD800;', '&unknown; \uFFFD \uFFFD'],
    ['\\*not emphasis\\*', '*not emphasis*'],
  ])('shows %s as %s', (text, shown) => {
    expect(textOf(text)).toBe(shown);
  });

  it('keeps the identity of blocks that did not change while text is added', () => {
    const before = readMarkdown('one\n\ntwo');
    const after = readMarkdown('one\n\ntwo and more', before);
    expect(after.blocks[0]).toBe(before.blocks[0]);
    expect(after.blocks[1]).not.toBe(before.blocks[1]);
  });

  it('reads links again that a later definition makes', () => {
    const before = readMarkdown('[a]\n\nb');
    expect(hrefs('[a]\n\nb')).toEqual([]);
    const after = readMarkdown('[a]\n\nb\n\n[a]: https://example.com', before);
    expect(after.blocks[0]).toMatchObject({ inlines: [{ href: 'https://example.com/' }] });
  });
});

describe('hostile text', () => {
  it.each([
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    'a <b onclick="x">b</b> <!-- c --> <svg/onload=alert(1)>',
    '<style>*{display:none}</style>',
    '<iframe src="https://example.com"></iframe>',
  ])('shows HTML as text: %s', (html) => {
    expect(textOf(html)).toBe(html);
    expect(all(html).every((node) => node['type'] !== 'html')).toBe(true);
  });

  it.each([
    '[a](javascript:alert(1))',
    '[a](JaVaScRiPt:alert(1))',
    '[a](javascript&#58;alert(1))',
    '[a](java&#x0A;script:alert(1))',
    '[a](\u0001javascript:alert(1))',
    '[a](vbscript:x)',
    '[a](data:text/html,<script>alert(1)</script>)',
    '[a](file:///etc/passwd)',
    '[a](blob:https://example.com/1)',
    '[a](//example.com)',
    '[a](/contribute#auto=1)',
    '[a](#x)',
    '[a](https://example.com@evil.example/)',
    '[a](https://user:password@evil.example/)',
    '[a](https:///)',
    `[a](https://example.com/${'x'.repeat(3000)})`,
    '<javascript:alert(1)>',
    '![a](javascript:alert(1))',
    '[a]\n\n[a]: javascript:alert(1)',
    '[a](mailto:a@b.example,c@d.example)',
  ])('never links %s', (text) => {
    expect(hrefs(text)).toEqual([]);
  });

  it('shows where a link leads unless its text says just that', () => {
    expect(inlines('[https://bank.example](https://evil.example/x)')).toMatchObject([
      { type: 'link', href: 'https://evil.example/x', host: 'evil.example' },
    ]);
    expect(inlines('https://bank.example/a')).toMatchObject([{ type: 'link', host: null }]);
    expect(inlines('<mailto:a@b.example>')).toMatchObject([{ href: 'mailto:a@b.example', host: null }]);
  });

  it('shows hosts in other scripts as Punycode', () => {
    expect(inlines('[a](https://аррӏе.com)')).toMatchObject([{ host: 'xn--80ak6aa92e.com' }]);
  });

  it('takes only the recipient of a mail link', () => {
    expect(hrefs('[a](mailto:a@b.example?body=secret&bcc=c@d.example)')).toEqual(['mailto:a@b.example']);
  });

  it('names a picture and does not load it', () => {
    expect(inlines('![a cat](https://tracker.example/p.png)')).toEqual([
      { type: 'image', alt: 'a cat', href: 'https://tracker.example/p.png', host: 'tracker.example' },
    ]);
  });

  it('shows marks of direction in code', () => {
    expect(first('```\na\u202Eb\u2066c\n```')).toMatchObject({ text: 'a⟦U+202E⟧b⟦U+2066⟧c' });
    expect(inlines('`a\u200Fb`')).toMatchObject([{ text: 'a⟦U+200F⟧b' }]);
  });

  it('keeps a strange language name out', () => {
    expect(first('```"><script>\nx\n```')).toMatchObject({ language: '' });
  });

  it.each([
    ['quotes', '>'.repeat(9000)],
    ['lists', '- '.repeat(4000)],
    ['nested lists', Array.from({ length: 60 }, (_, i) => `${' '.repeat(2 * i)}- a`).join('\n')],
    ['brackets', '['.repeat(9000)],
    ['emphasis', '_a'.repeat(4500)],
    ['emphasis around emphasis', `${'*a **b '.repeat(40)}${'** *'.repeat(40)}`],
  ])('bounds the depth of %s', (_, text) => {
    const startedAtMs = performance.now();
    const depth = (value: unknown): number =>
      typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depth)) : 0;
    expect(depth(readMarkdown(text).blocks)).toBeLessThan(5 * bounds.depth);
    expect(performance.now() - startedAtMs).toBeLessThan(2000);
  });

  it.each([
    ['a very long text', 'a b\n\n'.repeat(bounds.characters / 4)],
    ['a very long run of lines', '_a'.repeat(bounds.runCharacters)],
  ])('shows %s as it is', (_, text) => {
    expect(readMarkdown(text).blocks).toEqual([{ type: 'plain', text }]);
  });

  it('bounds the number of nodes', () => {
    const text = `${'`a` '.repeat(2000)}\n\n`.repeat(14);
    expect(text.length).toBeLessThan(bounds.characters);
    expect(all(text).length).toBeLessThan(3 * bounds.nodes);
    const many = '- a\n\n'.repeat(bounds.characters / 6);
    expect(all(many).length).toBeLessThan(4 * bounds.nodes);
  });
});
