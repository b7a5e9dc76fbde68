/** JSON with one thing wrong in it: a value, a name, the shape, the size or the spelling. */
import type { Random } from './random.ts';
import { MARKER, oddNames, wrongValues } from './vocabulary.ts';

/** A JSON text in parts, so that it can hold what no value in memory can: `__proto__` twice, NaN, a lone surrogate. */
type Tree = string | { readonly items: Tree[] } | { readonly members: [string, Tree][] };

function treeOf(value: unknown): Tree {
  if (Array.isArray(value)) return { items: value.map(treeOf) };
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return {
    members: Object.entries(value).map(([name, member]): [string, Tree] => [
      JSON.stringify(name),
      treeOf(member),
    ]),
  };
}

function write(tree: Tree): string {
  if (typeof tree === 'string') return tree;
  if ('items' in tree) return `[${tree.items.map(write).join(',')}]`;
  return `{${tree.members.map(([name, member]) => `${name}:${write(member)}`).join(',')}}`;
}

/** One mutation of a value's JSON text; now and then more than one. */
export function mutatedJson(random: Random, value: unknown): string {
  const tree = treeOf(value);
  for (let i = random.chance(0.15) ? 2 : 1; i > 0; i--) mutateTree(random, tree);
  const text = write(tree);
  return random.chance(0.15) ? mutatedText(random, text) : text;
}

/** Every node that has a parent, as a place where it can be replaced. */
interface Place {
  readonly set: (tree: Tree) => void;
  readonly tree: Tree;
  readonly parent: Exclude<Tree, string>;
  readonly index: number;
}

function placesIn(tree: Tree): Place[] {
  if (typeof tree === 'string') return [];
  if ('items' in tree)
    return tree.items.flatMap((item, index) => [
      { tree: item, parent: tree, index, set: (changed: Tree) => void (tree.items[index] = changed) },
      ...placesIn(item),
    ]);
  return tree.members.flatMap((member, index) => [
    { tree: member[1], parent: tree, index, set: (changed: Tree) => void (member[1] = changed) },
    ...placesIn(member[1]),
  ]);
}

function mutateTree(random: Random, tree: Tree): void {
  const places = placesIn(tree);
  if (places.length === 0) return;
  const place = random.pick(places);
  const { parent, index } = place;
  const list: unknown[] = 'items' in parent ? parent.items : parent.members;
  const dice = random.next();
  if (dice < 0.6) place.set(random.pick(wrongValues));
  else if (dice < 0.7) list.splice(index, 1);
  else if (dice < 0.78) list.push(list[index]);
  else if (dice < 0.92)
    list.push(
      'items' in parent
        ? random.pick(wrongValues)
        : [JSON.stringify(random.pick(oddNames)), random.pick(wrongValues)],
    );
  else if ('members' in parent && parent.members[index] !== undefined)
    parent.members[index][0] = JSON.stringify(random.pick(oddNames));
  else place.set({ items: [place.tree] });
}

/** One mutation of a text without regard to what it means. */
export function mutatedText(random: Random, text: string): string {
  const at = random.below(text.length + 1);
  const to = Math.min(text.length, at + 1 + random.below(8));
  switch (random.below(9)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + text.slice(to);
    case 2:
      return text.slice(0, at) + random.pick(wrongValues) + text.slice(at);
    case 3:
      return (
        text.slice(0, at) +
        random.pick(['"', '{', '}', '[', ']', ',', ':', '\\', '\u0000', '\ufeff']) +
        text.slice(at)
      );
    case 4:
      return text + random.pick([text, '}', ' ', '\n\n', MARKER, ',', '\u0000']);
    case 5:
      return random.pick(['\ufeff', ' ', '\n', ")]}',\n", '//\n']) + text;
    case 6:
      return text.slice(0, at) + random.bytes(1 + random.below(6)).toString('latin1') + text.slice(to);
    case 7:
      return random.bytes(random.below(200)).toString('latin1');
    default:
      return text.slice(0, at) + ' '.repeat(random.below(5_000)) + text.slice(at);
  }
}
