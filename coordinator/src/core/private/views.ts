/** The private tier as it looks from outside. */
import { priceToWire, type Price } from '@tussah/protocol/money';
import type { Network } from '@tussah/protocol/network';
import type { Epoch, PrivateState } from './state.ts';

/** Bundles that clients may choose now, of one model or of all. */
export const currentEpochs = ({ epochs }: PrivateState, model?: string): Epoch[] =>
  [...epochs.values()].filter(
    ({ phase, offer }) => phase === 'current' && (model === undefined || offer.model === model),
  );

export function nodesByModel(tier: PrivateState): NonNullable<Network['nodes']> {
  const models = new Map<string, { nodes: number; price: Price }>();
  for (const { offer, price } of currentEpochs(tier)) {
    const known = models.get(offer.model);
    if (known === undefined) models.set(offer.model, { nodes: 1, price });
    else {
      known.nodes += 1;
      if (price.completionNanoPerMillion < known.price.completionNanoPerMillion) known.price = price;
    }
  }
  return Array.from(models, ([model, { nodes, price }]) => ({ model, nodes, price: priceToWire(price) }));
}
