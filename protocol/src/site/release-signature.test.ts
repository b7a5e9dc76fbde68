import { beforeAll, describe, expect, it } from 'vitest';
import { domains, newIdentity, sign, type Identity } from '../signatures.ts';
import { release } from './release-fixture.ts';
import {
  checkSignature,
  judgeSuccessor,
  type InstalledRelease,
  type ReleaseStatement,
} from './release-signature.ts';
import { readRelease, textOfRelease, type Release, type ReleaseText } from './release.ts';

let ours: Identity;
let next: Identity;
let stranger: Identity;
beforeAll(async () => {
  [ours, next, stranger] = await Promise.all([newIdentity(), newIdentity(), newIdentity()]);
});

function read(members: Partial<Release>): ReleaseText {
  const read = readRelease(textOfRelease(release(members)));
  if (!read.ok) throw new Error(read.failure.message);
  return read.value;
}

const statementOf = ({ release, sha256 }: ReleaseText, issuedAtMs = 1000): ReleaseStatement => ({
  release: sha256,
  version: release.version,
  issuedAtMs,
});

async function signatureOf(
  statement: ReleaseStatement,
  signers: readonly Identity[],
  domain: string = domains.siteRelease,
): Promise<string> {
  const signatures = signers.map(async (signer) => ({
    key: signer.publicKey,
    signature: await sign(signer, domain, statement),
  }));
  return JSON.stringify({ statement, signatures: await Promise.all(signatures) });
}

const code = (result: { ok: boolean; failure?: { code: string } }) => result.failure?.code ?? 'ok';

describe('checkSignature', () => {
  const check = async (signature: string | null) => {
    const offered = read({});
    return code(await checkSignature(offered, signature, [ours.publicKey]));
  };

  it('accepts one signature by a known key, also among others', async () => {
    const statement = statementOf(read({}));
    expect(await check(await signatureOf(statement, [ours]))).toBe('ok');
    expect(await check(await signatureOf(statement, [stranger, ours]))).toBe('ok');
  });

  it('refuses what is unsigned, or signed by unknown keys alone', async () => {
    expect(await check(null)).toBe('unsigned_release');
    expect(await check(await signatureOf(statementOf(read({})), [stranger]))).toBe('unknown_key');
  });

  it('refuses a signature over another release, version, moment or kind of statement', async () => {
    const statement = statementOf(read({}));
    expect(await check(await signatureOf(statementOf(read({ version: '1.0.1' })), [ours]))).toBe(
      'bad_signature',
    );
    expect(await check(await signatureOf({ ...statement, version: '9.0.0' }, [ours]))).toBe('bad_signature');
    expect(await check(await signatureOf(statement, [ours], domains.receipt))).toBe('bad_signature');
    const later = (await signatureOf(statement, [ours])).replace('1000', '2000');
    expect(await check(later)).toBe('bad_signature');
  });

  it('refuses a signature of a stranger under our key', async () => {
    const signed = await signatureOf(statementOf(read({})), [stranger]);
    expect(await check(signed.replace(stranger.publicKey, ours.publicKey))).toBe('bad_signature');
  });

  it.each(['', '{}', '[]', '<html>', '{"statement":{},"signatures":[]}'])('refuses %j', async (text) => {
    expect(await check(text)).toBe('bad_signature');
  });
});

describe('judgeSuccessor', () => {
  const installed = (issuedAtMs: number | null): InstalledRelease => ({
    ...read({ keys: [ours.publicKey] }),
    signed: issuedAtMs === null ? null : { key: ours.publicKey, issuedAtMs },
  });

  async function judge(from: InstalledRelease, signer: Identity, issuedAtMs: number) {
    const offered = read({ version: '1.1.0', keys: [next.publicKey] });
    return code(
      await judgeSuccessor(from, offered, await signatureOf(statementOf(offered, issuedAtMs), [signer])),
    );
  }

  it('accepts a later one, signed by a key of the installed one', async () => {
    expect(await judge(installed(1000), ours, 1001)).toBe('ok');
    expect(await judge(installed(null), ours, 1)).toBe('ok');
  });

  it('does not ask the new release who may sign it', async () => {
    expect(await judge(installed(1000), next, 1001)).toBe('unknown_key');
  });

  it.each([1000, 999])(
    'refuses one that was issued at %d when the installed one was at 1000',
    async (atMs) => {
      expect(await judge(installed(1000), ours, atMs)).toBe('rolled_back');
    },
  );
});
