/**
 * The simulated vendors of this machine, kept in a folder so that node, coordinator and clients mean the same ones: their keys
 * in `world.json`, and in `policy.json` the policy that accepts just their evidence. The keys are worth nothing to anybody
 * else, and are made anew after a week, so that nobody begins to rely on them.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBase64, toBase64 } from '@tussah/attestation/bytes/text-encodings';
import { parsePolicy, type Policy } from '@tussah/attestation/policy/policy';
import {
  newSimulatedWorld,
  simulatedPolicy,
  type SimulatedWorld,
} from '@tussah/attestation/simulated/bundle';
import type { SimulatedKey } from '@tussah/attestation/simulated/keys';

const AGE_MAX_MS = 7 * 86_400_000;

export interface OpenWorld {
  readonly world: SimulatedWorld;
  readonly policyPath: string;
  readonly policy: Policy;
}

/** `models` are listed in the policy, beside those that are there already. Digests in hexadecimal. */
export async function openSimulatedWorld(
  folder: string,
  models: Readonly<Record<string, { readonly digest: string }>>,
  nowMs: number,
): Promise<OpenWorld> {
  mkdirSync(folder, { recursive: true });
  const worldPath = join(folder, 'world.json');
  const policyPath = join(folder, 'policy.json');
  let world = await readWorld(worldPath);
  if (world === undefined || nowMs - world.nowMs > AGE_MAX_MS || world.nowMs > nowMs) {
    replace(worldPath, await encode(await newSimulatedWorld(nowMs)));
    // Another process may have made one at the same moment: what is there now counts for both.
    world = await readWorld(worldPath);
  }
  if (world === undefined) throw new Error(`${worldPath} can't be read`);
  const kept = readPolicy(policyPath);
  const sameWorld = kept?.simulatedRoots.join() === world.roots.join();
  const policy = { ...simulatedPolicy(world), models: { ...(sameWorld ? kept?.models : {}), ...models } };
  replace(policyPath, policy);
  return { world, policyPath, policy };
}

/** Nobody reads a half of it. */
function replace(path: string, value: unknown): void {
  const draft = `${path}.${process.pid}.draft`;
  writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, path);
}

function readPolicy(path: string): Policy | undefined {
  const text = readText(path);
  const parsed = text === undefined ? undefined : parsePolicy(text);
  return parsed?.ok === true ? parsed.value : undefined;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

async function readWorld(path: string): Promise<SimulatedWorld | undefined> {
  const text = readText(path);
  if (text === undefined) return undefined;
  try {
    return (await decode(JSON.parse(text))) as SimulatedWorld;
  } catch {
    // Of another version, or damaged: it is replaced.
    return undefined;
  }
}

/** Bytes become `{ bytes }`, keys `{ key, pkcs8, spki }`, everything else stays as it is. */
async function encode(value: unknown): Promise<unknown> {
  if (value instanceof Uint8Array) return { bytes: toBase64(value) };
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return Promise.all(value.map(encode));
  if ('privateKey' in value) {
    const { kind, privateKey, spki } = value as SimulatedKey;
    const pkcs8 = new Uint8Array(await crypto.subtle.exportKey('pkcs8', privateKey));
    return { key: kind, pkcs8: toBase64(pkcs8), spki: toBase64(spki) };
  }
  return mapMembers(value, encode);
}

async function decode(value: unknown): Promise<unknown> {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return Promise.all(value.map(decode));
  if ('bytes' in value) return fromBase64(String(value.bytes), 'bytes');
  if ('key' in value && 'pkcs8' in value && 'spki' in value) {
    const kind = value.key as SimulatedKey['kind'];
    const pkcs8 = fromBase64(String(value.pkcs8), 'key');
    const privateKey = await crypto.subtle.importKey('pkcs8', pkcs8, algorithms[kind], true, ['sign']);
    return { kind, privateKey, spki: fromBase64(String(value.spki), 'key') };
  }
  return mapMembers(value, decode);
}

const algorithms: Readonly<Record<SimulatedKey['kind'], EcKeyImportParams | RsaHashedImportParams>> = {
  p256: { name: 'ECDSA', namedCurve: 'P-256' },
  p384: { name: 'ECDSA', namedCurve: 'P-384' },
  rsa: { name: 'RSA-PSS', hash: 'SHA-384' },
};

async function mapMembers(value: object, map: (member: unknown) => Promise<unknown>): Promise<unknown> {
  const members = await Promise.all(
    Object.entries(value).map(
      async ([name, member]: [string, unknown]) => [name, await map(member)] as const,
    ),
  );
  return Object.fromEntries(members);
}
