/** Policies, and what a verification keeps: its record, its clock and its memory of chains. */
import { describe, expect, it } from 'vitest';
import { bundlePlan } from '../bundle/plan.ts';
import { checkOneWorld } from '../bundle/verify-bundle.ts';
import { limits } from '../limits.ts';
import { Malformed } from '../malformed.ts';
import { parsePolicy } from '../policy/policy.ts';
import { u32 } from '../simulated/fixed-bytes.ts';
import { makeTdx } from '../simulated/tdx.ts';
import { Clock, isoOf } from '../steps/clock.ts';
import { StepRecord } from '../steps/record.ts';
import { parseSigned, QeIdentitySchema } from '../tdx/collateral.ts';
import { parseQuote } from '../tdx/quote.ts';
import { failed, policy, world } from '../testing/world.ts';
import { ChainCache } from '../x509/chain-cache.ts';
import { readCertificates } from '../x509/read-certificates.ts';

describe('collateral and policies', () => {
  it('too long or no JSON are refused', () => {
    expect(() => parseSigned(QeIdentitySchema, ' '.repeat(limits.collateralJsonCharacters + 1), 'x')).toThrow(
      'too long',
    );
    expect(() => parseSigned(QeIdentitySchema, '{', 'x')).toThrow('x: not JSON');
  });
  it('a policy is read from its text, whole or not at all', () => {
    expect(parsePolicy(JSON.stringify(policy))).toMatchObject({ ok: true, value: { name: 'simulated' } });
    expect(parsePolicy(JSON.stringify(policy).padEnd(limits.policyCharacters + 1))).toMatchObject({
      ok: false,
    });
    expect(parsePolicy('{')).toMatchObject({ ok: false, failure: { code: 'bad_policy' } });
    const twice = `{"gpu":{},${JSON.stringify(policy).slice(1)}`;
    expect(parsePolicy(twice)).toMatchObject({
      failure: { message: "The policy can't be used: policy: a member twice." },
    });
    expect(parsePolicy(JSON.stringify({ ...policy, more: 1 }))).toMatchObject({ ok: false });
    expect(
      parsePolicy(JSON.stringify({ ...policy, tdx: { ...policy.tdx, statuses: ['Revoked'] } })),
    ).toMatchObject({ ok: false });
    const [reference] = policy.gpu?.references ?? [];
    const references = [{ ...reference, measurements: {} }];
    expect(parsePolicy(JSON.stringify({ ...policy, gpu: { ...policy.gpu, references } }))).toMatchObject({
      ok: false,
    });
    const { simulatedRoots: _, ...rest } = policy;
    expect(parsePolicy(JSON.stringify(rest))).toMatchObject({ value: { simulatedRoots: [] } });
  });
});

describe('the record', () => {
  const plan = { a: { title: 'A', remedy: 'r' }, b: { title: 'B', remedy: 'r' } };
  it('accepts only when every step passed, or was waived and not made', () => {
    const record = new StepRecord(plan);
    record.check('a', true);
    expect(record.outcome()).toMatchObject({
      accepted: false,
      steps: [{ status: 'passed' }, { id: 'b', status: 'unchecked' }],
    });
    expect(record.outcome().steps).toMatchObject([{}, { remedy: 'r' }]);
    record.waive('b');
    expect(record.outcome().accepted).toBe(true);
    expect(record.outcome().steps[1]?.remedy).toBe(undefined);
    record.check('b', false);
    expect(record.outcome().accepted).toBe(false);
  });
  it('keeps a failure, whatever is said later', () => {
    const record = new StepRecord(plan);
    record.check('a', false, { expected: 'e', got: 'x'.repeat(1000) });
    record.check('a', true);
    record.check('b', true);
    expect(record.outcome()).toMatchObject({
      accepted: false,
      steps: [{ status: 'failed', expected: 'e', got: 'x'.repeat(400), remedy: 'r' }, {}],
    });
  });
  it('records what is malformed, and lets bugs through', () => {
    const record = new StepRecord(plan);
    expect(record.parse('a', 'e', () => 7)).toBe(7);
    const broken = (error: Error) => () => {
      throw error;
    };
    expect(record.parse('b', 'e', broken(new Malformed('m')))).toBeUndefined();
    expect(record.outcome().steps).toMatchObject([
      { status: 'passed' },
      { status: 'failed', expected: 'e', got: 'm' },
    ]);
    expect(() => record.parse('a', 'e', broken(new TypeError('bug')))).toThrow('bug');
  });
  it('does not let genuine and simulated evidence be mixed', () => {
    for (const [simulated, ok] of [
      [[true, false], false],
      [[false, true, true], false],
      [[true, true], true],
      [[false], true],
    ] as const) {
      const record = new StepRecord(bundlePlan);
      checkOneWorld(record, simulated);
      expect(failed(record.outcome())).toEqual(ok ? [] : ['bundle.one-world']);
    }
  });
});

describe('the clock', () => {
  it('knows for how long its answers stay the same', () => {
    const clock = new Clock(50);
    expect([clock.within(40, 60), clock.within(50, 50), clock.within(51, 60), clock.within(0, 49)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect([clock.sameFromMs, clock.sameUntilMs]).toEqual([50, 50]);
    const wide = new Clock(50);
    wide.within(40, 60);
    expect([wide.sameFromMs, wide.sameUntilMs]).toEqual([40, 60]);
  });
  it('takes whole milliseconds only, and shows any moment', () => {
    expect(() => new Clock(Number.NaN)).toThrow(RangeError);
    expect([isoOf(0), isoOf(1e300)]).toEqual(['1970-01-01T00:00:00.000Z', '1e+300']);
  });
});

describe('the memory of chains', () => {
  it('asks once for each chain that was right, and forgets the oldest', async () => {
    const { quote } = await makeTdx(world.intel);
    const chain = readCertificates(parseQuote(quote).pckChain);
    const cache = new ChainCache();
    let asked = 0;
    const ask = (answer: boolean) => async () => {
      asked += 1;
      return Promise.resolve(answer);
    };
    for (const answer of [false, true]) expect(await cache.signed(chain, ask(answer))).toBe(answer);
    expect(await cache.signed(chain, ask(false))).toBe(true);
    expect(asked).toBe(2);
    for (let i = 0; i <= limits.rememberedChains; i++)
      await cache.signed(
        chain.map((each) => ({ ...each, raw: u32(i) })),
        ask(true),
      );
    await cache.signed(chain, ask(true));
    expect(asked).toBe(limits.rememberedChains + 4);
  });
});
