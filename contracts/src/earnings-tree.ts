/**
 * The tree of earnings that the vault's roots commit to: a Merkle sum tree of cells, addressed by a contributor's index.
 * Format: schemes/earnings-tree.tlb. Where nobody is, there is a leaf of zeros.
 */
import { type Address, beginCell, Cell, convertToMerkleProof } from '@ton/core';
import { fees } from './fees.ts';

export interface EarningsLeaf {
  /** nanoTON earned ever. */
  readonly cumulative: bigint;
  /** `cumulative` of the same index in the root before; 0 if it was not in it. */
  readonly previous: bigint;
  /** nanoTON that had been settled when the root before became final. */
  readonly base: bigint;
  readonly owner: Address;
}

export interface EarningsRoot {
  readonly hash: bigint;
  readonly depth: number;
  /** nanoTON: the sum of `cumulative` over all leaves. */
  readonly total: bigint;
}

interface Node {
  readonly cell: Cell;
  readonly sum: bigint;
  readonly children?: readonly [Node, Node];
}

export interface EarningsTree {
  readonly root: EarningsRoot;
  readonly top: Node;
}

/** `leaves[index]` is the contributor's leaf, undefined where nobody has the index. Throws where nobody has earned anything. */
export function buildEarningsTree(leaves: readonly (EarningsLeaf | undefined)[]): EarningsTree {
  const depth = Math.max(0, Math.ceil(Math.log2(leaves.length)));
  if (depth > fees.MAX_TREE_DEPTH)
    throw new RangeError(`${leaves.length} leaves need more than ${fees.MAX_TREE_DEPTH} levels`);
  let level = leaves.map((leaf) => (leaf === undefined ? nobody : leafNode(leaf)));
  let none = nobody;
  for (let at = 0; at < depth; at++) {
    const above: Node[] = [];
    for (let i = 0; i < level.length; i += 2) above.push(forkNode(level[i] ?? none, level[i + 1] ?? none));
    none = forkNode(none, none);
    level = above;
  }
  const top = level[0] ?? nobody;
  if (top.sum === 0n) throw new RangeError('an earnings tree needs a leaf with earnings');
  return { top, root: { hash: hashOf(top.cell), depth, total: top.sum } };
}

/**
 * A Merkle proof of every leaf at or below the node `index >> level`, up to the root; of absence where nobody is there.
 * Level 0 is one leaf, level 7 is 128.
 */
export function proveEarnings(tree: EarningsTree, index: number, level = 0): Cell {
  const keep = (node: Node, at: number): Cell => {
    if (at <= level || node.children === undefined) return node.cell;
    const isRight = Math.floor(index / 2 ** (at - 1)) % 2 === 1;
    const [left, right] = node.children;
    return beginCell()
      .storeBits(node.cell.bits)
      .storeRef(isRight ? prune(left.cell) : keep(left, at - 1))
      .storeRef(isRight ? keep(right, at - 1) : prune(right.cell))
      .endCell();
  };
  return convertToMerkleProof(keep(tree.top, tree.root.depth));
}

function leafNode({
  cumulative,
  previous,
  base,
  owner,
}: Omit<EarningsLeaf, 'owner'> & { owner: Address | null }): Node {
  const cell = beginCell()
    .storeCoins(cumulative)
    .storeCoins(previous)
    .storeCoins(base)
    .storeAddress(owner)
    .endCell();
  return { cell, sum: cumulative };
}

const nobody = leafNode({ cumulative: 0n, previous: 0n, base: 0n, owner: null });

function forkNode(left: Node, right: Node): Node {
  const cell = beginCell().storeCoins(left.sum).storeRef(left.cell).storeRef(right.cell).endCell();
  return { cell, sum: left.sum + right.sum, children: [left, right] };
}

/** A pruned branch (TVM, "Exotic cells"): type 1, level mask 1, the cell's hash and depth in its place. */
function prune(cell: Cell): Cell {
  const { bits } = beginCell()
    .storeUint(1, 8)
    .storeUint(1, 8)
    .storeBuffer(cell.hash(0))
    .storeUint(cell.depth(0), 16)
    .endCell();
  return new Cell({ exotic: true, bits, refs: [] });
}

const hashOf = (cell: Cell): bigint => BigInt(`0x${cell.hash().toString('hex')}`);
