/**
 * Markdown from strangers, as a small tree that components draw. Everything not named here becomes text: HTML is shown,
 * never made; pictures are named, never loaded; links go to http, https and mailto alone and carry the host they lead to.
 */
import { Lexer, type MarkedToken, type Token, type Tokens } from 'marked';
import { decodeEntities } from './entities.ts';
import { safeLink } from './links.ts';

export type Inline =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'code'; readonly text: string }
  | { readonly type: 'break' }
  | { readonly type: 'emphasis'; readonly tag: 'strong' | 'em' | 'del'; readonly inlines: readonly Inline[] }
  | {
      readonly type: 'link';
      readonly href: string;
      /** Null where the text of the link is the address itself. */
      readonly host: string | null;
      readonly inlines: readonly Inline[];
    }
  | {
      readonly type: 'image';
      readonly alt: string;
      readonly href: string | null;
      readonly host: string | null;
    };

export interface ListItem {
  readonly task: 'open' | 'done' | null;
  readonly blocks: readonly Block[];
}
export type Align = 'left' | 'center' | 'right' | null;
export interface Cell {
  readonly align: Align;
  readonly inlines: readonly Inline[];
}
export type Block =
  | { readonly type: 'paragraph'; readonly inlines: readonly Inline[] }
  /** A paragraph of a tight list item, without its space around. */
  | { readonly type: 'line'; readonly inlines: readonly Inline[] }
  | { readonly type: 'heading'; readonly depth: number; readonly inlines: readonly Inline[] }
  | { readonly type: 'code'; readonly language: string; readonly text: string }
  | { readonly type: 'quote'; readonly blocks: readonly Block[] }
  | {
      readonly type: 'list';
      readonly ordered: boolean;
      readonly start: number;
      readonly items: readonly ListItem[];
    }
  | { readonly type: 'table'; readonly header: readonly Cell[]; readonly rows: readonly (readonly Cell[])[] }
  | { readonly type: 'rule' }
  /** Shown as it was written, line breaks included. */
  | { readonly type: 'plain'; readonly text: string };

export interface Markdown {
  readonly blocks: readonly Block[];
  /** What each block was read from, so that an unchanged one keeps its identity while text is added. */
  readonly sources: readonly string[];
}

export const bounds = {
  /** The lexer takes quadratic time inside one run of lines; longer ones are shown as they are. */
  runCharacters: 10_000,
  characters: 120_000,
  depth: 12,
  nodes: 20_000,
} as const;

const plain = (text: string): Markdown => ({ blocks: [{ type: 'plain', text }], sources: [text] });

/** Reads a text; `previous` is the reading of its beginning, whose unchanged blocks are taken over. */
export function readMarkdown(text: string, previous?: Markdown): Markdown {
  if (text.length > bounds.characters || text.split(/\n[ \t]*\n/).some(isLong)) return plain(text);
  let tokens: ReturnType<typeof Lexer.lex>;
  try {
    tokens = Lexer.lex(text, { gfm: true });
  } catch {
    // Nested too deeply for the lexer's recursion.
    return plain(text);
  }
  const reader = new Reader();
  const sources: string[] = [];
  const blocks: Block[] = [];
  const hasDefinitions = Object.keys(tokens.links).length > 0;
  for (const token of tokens) {
    const i = blocks.length;
    const known = !hasDefinitions && previous?.sources[i] === token.raw ? previous.blocks[i] : undefined;
    const block = known ?? reader.block(token, 0);
    if (block === undefined) continue;
    blocks.push(block);
    sources.push(token.raw);
  }
  return { blocks, sources };
}

const isLong = (run: string) => run.length > bounds.runCharacters;

class Reader {
  #nodes = 0;

  /** Undefined for what shows nothing: blank lines, and definitions of links. */
  block(token: Token, depth: number): Block | undefined {
    const known = token as MarkedToken;
    if (known.type === 'space' || known.type === 'def' || known.type === 'checkbox') return undefined;
    if (this.#spent(depth)) return { type: 'plain', text: known.raw };
    switch (known.type) {
      case 'paragraph':
        return { type: 'paragraph', inlines: this.inlines(known.tokens, depth) };
      case 'text':
        return { type: 'line', inlines: this.inlines(known.tokens ?? [known], depth) };
      case 'heading':
        return { type: 'heading', depth: known.depth, inlines: this.inlines(known.tokens, depth) };
      case 'code':
        return { type: 'code', language: languageOf(known.lang), text: markBidi(known.text) };
      case 'blockquote':
        return { type: 'quote', blocks: this.#blocks(known.tokens, depth + 1) };
      case 'list':
        return this.#list(known, depth);
      case 'table':
        return {
          type: 'table',
          header: known.header.map((cell) => this.#cell(cell, depth)),
          rows: known.rows.map((row) => row.map((cell) => this.#cell(cell, depth))),
        };
      case 'hr':
        return { type: 'rule' };
      default:
        return { type: 'plain', text: known.raw.replace(/\n+$/, '') };
    }
  }

  inlines(tokens: readonly Token[], depth: number): readonly Inline[] {
    return tokens.map((token) => this.#inline(token as MarkedToken, depth + 1));
  }

  #inline(token: MarkedToken, depth: number): Inline {
    if (this.#spent(depth)) return { type: 'text', text: token.raw };
    switch (token.type) {
      case 'strong':
      case 'em':
      case 'del':
        return { type: 'emphasis', tag: token.type, inlines: this.inlines(token.tokens, depth) };
      case 'codespan':
        return { type: 'code', text: markBidi(token.text) };
      case 'br':
        return { type: 'break' };
      case 'link':
        return this.#link(token, depth);
      case 'image': {
        const link = safeLink(decodeEntities(token.href));
        return {
          type: 'image',
          alt: decodeEntities(token.text),
          href: link?.href ?? null,
          host: link?.host ?? null,
        };
      }
      case 'escape':
        return { type: 'text', text: token.text };
      case 'html':
        return /^<br ?\/?>$/i.test(token.raw) ? { type: 'break' } : { type: 'text', text: token.raw };
      case 'text':
        return { type: 'text', text: decodeEntities(token.text) };
      default:
        return { type: 'text', text: token.raw };
    }
  }

  #link(token: Tokens.Link, depth: number): Inline {
    const link = safeLink(token.autolink === true ? token.href : decodeEntities(token.href));
    if (link === undefined) return { type: 'text', text: token.raw };
    const inlines = this.inlines(token.tokens, depth);
    const said = token.text.trim();
    const same = said === token.href || said === link.href || `mailto:${said}` === link.href;
    return { type: 'link', href: link.href, host: same ? null : link.host, inlines };
  }

  #list(token: Tokens.List, depth: number): Block {
    const start = typeof token.start === 'number' && Number.isSafeInteger(token.start) ? token.start : 1;
    const items = token.items.map((item) => ({
      task: item.task ? (item.checked === true ? ('done' as const) : ('open' as const)) : null,
      blocks: this.#blocks(item.tokens, depth + 1),
    }));
    return { type: 'list', ordered: token.ordered, start, items };
  }

  #blocks(tokens: readonly Token[], depth: number): readonly Block[] {
    return tokens.flatMap((token) => this.block(token, depth) ?? []);
  }

  #cell(cell: Tokens.TableCell, depth: number): Cell {
    return { align: cell.align, inlines: this.inlines(cell.tokens, depth) };
  }

  #spent(depth: number): boolean {
    this.#nodes += 1;
    return depth > bounds.depth || this.#nodes > bounds.nodes;
  }
}

const languageOf = (lang: string | undefined) => /^[\w+#.-]{1,24}/.exec(lang ?? '')?.[0] ?? '';

/** In code an invisible mark can make a line read otherwise than it runs (CVE-2021-42574), so it is made visible. */
const markBidi = (code: string) =>
  code.replaceAll(
    /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g,
    (mark) => `⟦U+${(mark.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟧`,
  );
