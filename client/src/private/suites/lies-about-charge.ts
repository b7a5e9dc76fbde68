/** Lies about the charge: the text stays readable, and the failure stands beside it. */
import { describe, expect, it } from 'vitest';
import type { SealedHeader } from '@tussah/protocol/private/header';
import { signNodeReceipt } from '@tussah/protocol/private/sign-statements';
import type { NodeReceipt } from '@tussah/protocol/private/statements';
import { newIdentity } from '@tussah/protocol/signatures';
import { ask, network, wholeText, world } from '../testing/asking.ts';
import { first, cheated } from '../testing/cheated.ts';
import { ScriptedPrivateCoordinator, type Cheats } from '../testing/scripted-private-coordinator.ts';

describe('lies about the charge', () => {
  it.each<[string, NonNullable<Cheats['receipt']>, string]>([
    ['charges more', (body) => ({ ...body, chargedNano: '999999' }), 'charge'],
    ['keeps a larger fee', (body) => ({ ...body, networkFeeNano: body.payNano }), 'fee and pay'],
    [
      'shows a receipt of another job',
      (body) => resigned(body, { jobId: 'job_000000000000000000000001' }),
      'node signature',
    ],
    [
      'shows another price',
      (body) => resigned(body, { price: { promptNanoPerMillion: '1', completionNanoPerMillion: '1' } }),
      'price',
    ],
    ['shows other counts', (body) => resigned(body, { completionTokens: 60 }), 'completionTokens'],
  ])('%s', async (_, receipt, wrong) => {
    const { failed, text } = await cheated({ receipt });
    expect(failed).toMatchObject({
      text: 'whole',
      failure: { code: 'receipt_mismatch' },
      finishReason: 'stop',
    });
    expect(failed.failure.message).toContain(wrong);
    expect(failed.receipt).not.toBeNull();
    expect(text).toBe(wholeText);
  });

  it('has the counts signed by a key that is not the node’s', async () => {
    const stranger = await newIdentity();
    const { failed } = await cheated({
      receipt: async (body) => ({
        ...body,
        node: await signNodeReceipt(stranger, body.node.receipt),
        receiptKey: stranger.publicKey,
      }),
    });
    expect(failed).toMatchObject({
      failure: { code: 'receipt_mismatch', message: expect.stringContaining('receipt key') },
    });
  });

  it.each<[string, Partial<NodeReceipt>, string]>([
    ['other counts', { completionTokens: 60 }, 'completionTokens'],
    ['another transcript', { transcript: '00'.repeat(32) }, 'transcript'],
    ['fewer chunks', { chunks: 1 }, 'chunks'],
    ['another payee', { identity: '11'.repeat(32) }, 'identity'],
    ['another outcome', { outcome: 'cancelled' }, 'outcome'],
    [
      'a higher price',
      { price: { promptNanoPerMillion: '60000000', completionNanoPerMillion: '200000000' } },
      'price',
    ],
  ])('and the node together sign %s', async (_, change, wrong) => {
    const { client, coordinator, nodes } = await network();
    const { receiptKey } = first(nodes);
    coordinator.cheats.receipt = async (body) => {
      const node = await signNodeReceipt(receiptKey, { ...body.node.receipt, ...change });
      const honest = new ScriptedPrivateCoordinator(world, coordinator.identity);
      honest.enter(first(nodes));
      const { signature: _, ...resealed } = await honest.receiptOf(
        coordinator.jobs[0] as SealedHeader,
        node,
        0,
      );
      return resealed;
    };
    const { last } = await ask(client);
    expect(last).toMatchObject({ text: 'whole', failure: { code: 'receipt_mismatch' } });
    expect(last.type === 'failed' && last.failure.message).toMatch(new RegExp(`\\(${wrong}\\)$`));
  });

  it('hides the receipt', async () => {
    const { failed } = await cheated({ events: (events) => [...events.slice(0, -1), '[DONE]'] });
    expect(failed).toMatchObject({ text: 'whole', failure: { code: 'receipt_missing' } });
  });
});

const resigned: (
  body: Parameters<NonNullable<Cheats['receipt']>>[0],
  change: object,
) => Parameters<NonNullable<Cheats['receipt']>>[0] = (body, change) => ({
  ...body,
  node: { ...body.node, receipt: { ...body.node.receipt, ...change } },
});
