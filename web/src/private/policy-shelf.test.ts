import { describe, expect, it } from 'vitest';
import { PolicyShelf, type ShelfOptions } from './policy-shelf.ts';
import type { SettingStore } from './private-store.ts';

const policy = (name: string, simulatedRoots: readonly string[] = []) =>
  JSON.stringify({
    version: 1,
    name,
    collateralAgeMaxMs: 1,
    lifetimeMaxMs: 1,
    images: [{ name: 'image', snp: { measurement: 'ab'.repeat(48) } }],
    models: { 'tussah-tiny': { digest: 'cd'.repeat(32) } },
    simulatedRoots,
  });
const simulated = policy('simulated', ['ef'.repeat(32)]);

function memory(): SettingStore & { readonly kept: Map<string, string> } {
  const kept = new Map<string, string>();
  return {
    kept,
    get: async (name) => kept.get(name),
    set: async (name, value) => void (value === undefined ? kept.delete(name) : kept.set(name, value)),
  };
}
const shelf = (options: Partial<ShelfOptions> = {}) =>
  new PolicyShelf({ settings: memory(), loopback: true, served: async () => simulated, ...options });
const sources = async (of: PolicyShelf) => (await of.list()).offers.map(({ source }) => source);

describe('PolicyShelf', () => {
  it('chooses the strict policy, which accepts nothing yet, until somebody chooses another', async () => {
    const { chosen, offers } = await shelf().list();
    expect(chosen).toBe('strict');
    expect(offers[0]).toMatchObject({ source: 'strict', images: [], models: [], simulated: false });
  });

  it('offers a simulated policy of the coordinator on a loopback address, and says so', async () => {
    const on = shelf();
    expect((await on.list()).offers).toMatchObject([{}, { source: 'simulated', simulated: true }]);
    expect(await on.choose('simulated')).toMatchObject({ ok: true, value: { chosen: 'simulated' } });
    expect((await on.chosen()).policy.name).toBe('simulated');
  });

  it('never asks for, offers or uses it elsewhere, whatever was chosen before', async () => {
    const settings = memory();
    await shelf({ settings }).choose('simulated');
    let asked = 0;
    const served = async () => {
      asked += 1;
      return simulated;
    };
    const public_ = shelf({ settings, loopback: false, served });
    expect(await sources(public_)).toEqual(['strict']);
    expect((await public_.chosen()).source).toBe('strict');
    expect(await public_.choose('simulated')).toMatchObject({ failure: { code: 'policy_not_offered' } });
    expect(asked).toBe(0);
  });

  it.each([
    ['one that names no simulated root', policy('genuine')],
    ['one that can not be read', '{}'],
    ['none', undefined],
  ])('does not offer %s as the coordinator’s', async (_, text) => {
    expect(await sources(shelf({ served: async () => text }))).toEqual(['strict']);
  });

  it('keeps a file of one’s own over reloads, and forgets it', async () => {
    const settings = memory();
    expect(await shelf({ settings }).keepOwn(policy('mine'))).toMatchObject({ value: { chosen: 'own' } });
    const reloaded = shelf({ settings, loopback: false });
    expect(await reloaded.chosen()).toMatchObject({ source: 'own', name: 'mine', models: ['tussah-tiny'] });
    expect(await reloaded.forgetOwn()).toMatchObject({ value: { chosen: 'strict' } });
    expect(settings.kept.size).toBe(0);
  });

  it('is not changed by what another tab chooses', async () => {
    const settings = memory();
    const [one, other] = [shelf({ settings }), shelf({ settings })];
    expect((await one.chosen()).source).toBe('strict');
    await other.choose('simulated');
    expect((await one.chosen()).source).toBe('strict');
  });

  it.each([
    ['no policy', '{"version":1}'],
    ['no JSON', 'x'],
    ['too much', ' '.repeat(262_145)],
  ])('refuses a file with %s, and keeps what there was', async (_, text) => {
    const settings = memory();
    const on = shelf({ settings });
    await on.keepOwn(policy('mine'));
    expect(await on.keepOwn(text)).toMatchObject({ ok: false, failure: { code: 'bad_policy' } });
    expect((await on.chosen()).name).toBe('mine');
  });

  it('is strict where the browser keeps nothing, and says that a choice was not kept', async () => {
    const settings: SettingStore = {
      get: async () => Promise.reject(new Error('no')),
      set: async () => Promise.reject(new Error('no')),
    };
    const on = shelf({ settings });
    expect((await on.chosen()).source).toBe('strict');
    expect(await on.choose('simulated')).toMatchObject({ failure: { code: 'policy_not_kept' } });
  });
});
