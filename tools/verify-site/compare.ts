/** Compares a served site with a build in a folder, file by file. What the server says about its files is not believed. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { contentTypeOf } from '@tussah/protocol/site/content-type';
import {
  addressOf,
  INDEX_FILE,
  readRelease,
  RELEASE_FILE,
  releaseLimits,
  SIGNATURE_FILE,
  type ReleaseText,
  type SiteFile,
} from '@tussah/protocol/site/release';
import { checkSignature, type Signed } from '@tussah/protocol/site/release-signature';
import { siteHeaders } from '@tussah/protocol/site/site-headers';
import { readBuild } from '../../web/release/read-build.ts';
import { fetchFile } from './fetch-file.ts';

export interface Difference {
  /** An address on the site. */
  readonly path: string;
  readonly kind: 'missing' | 'changed' | 'extra' | 'header' | 'signature';
  readonly detail: string;
}

export interface SiteComparison {
  readonly verdict: 'same' | 'different';
  /** Of the build. */
  readonly version: string;
  readonly release: string;
  readonly files: number;
  readonly bytes: number;
  /** By a key that the build names; null when nobody signed. */
  readonly signed: Signed | null;
  readonly differences: readonly Difference[];
}

/** A build that can't be compared with. */
export class UnusableBuild extends Error {}

/** Files under way at a time. */
const AT_ONCE = 4;

/** Throws `UnusableBuild`, and `Unreachable` when the server does not answer. */
export async function compareSite(site: URL, folder: string): Promise<SiteComparison> {
  const { release, text, sha256 } = readLocal(folder);
  const files = readBuild(folder);
  const differences: Difference[] = [];
  differences.push(...(await compareList(site, text, release.files)));
  const wanted = files.flatMap((file) => addressesOf(file).map((address) => ({ address, file })));
  for (let i = 0; i < wanted.length; i += AT_ONCE) {
    const some = wanted.slice(i, i + AT_ONCE).map(({ address, file }) => compareFile(site, address, file));
    differences.push(...(await Promise.all(some)).flat());
  }
  const signature = await readSignature(site, { release, text, sha256 });
  differences.push(...signature.differences);
  return {
    verdict: differences.length === 0 ? 'same' : 'different',
    version: release.version,
    release: sha256,
    files: files.length,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    signed: signature.signed,
    differences,
  };
}

/** The page stands at more than one. */
const addressesOf = ({ path }: SiteFile): string[] =>
  path === INDEX_FILE ? ['/', '/contribute', '/verify'] : [addressOf(path)];

function readLocal(folder: string): ReleaseText {
  const read = readRelease(textAt(folder));
  if (!read.ok) throw new UnusableBuild(`${join(folder, RELEASE_FILE)} is not that of a build.`);
  const { release } = read.value;
  const now = new Map(readBuild(folder).map((file) => [file.path, file.sha256]));
  const same =
    now.size === release.files.length && release.files.every(({ path, sha256 }) => now.get(path) === sha256);
  if (!same) throw new UnusableBuild(`The files in ${folder} are not those of its own ${RELEASE_FILE}.`);
  return read.value;
}

function textAt(folder: string): string {
  try {
    return readFileSync(join(folder, RELEASE_FILE), 'utf8');
  } catch {
    throw new UnusableBuild(`There is no build in ${folder}.`);
  }
}

/** The published list, and what it names beyond the build. */
async function compareList(
  site: URL,
  text: string,
  files: readonly SiteFile[],
): Promise<readonly Difference[]> {
  const path = `/${RELEASE_FILE}`;
  const served = await fetchFile(new URL(path, site), releaseLimits.manifestBytes);
  if (!('bytes' in served)) return [{ path, ...served }];
  const theirs = new TextDecoder().decode(served.bytes);
  if (theirs === text) return [];
  const read = readRelease(theirs);
  if (!read.ok) return [{ path, kind: 'changed', detail: 'not the list of a release' }];
  const known = new Set(files.map((file) => file.path));
  const extra = read.value.release.files.filter((file) => !known.has(file.path));
  return [
    { path, kind: 'changed', detail: `it names release ${read.value.sha256}` },
    ...extra.map((file): Difference => ({
      path: addressOf(file.path),
      kind: 'extra',
      detail: 'not in the build',
    })),
  ];
}

async function compareFile(site: URL, address: string, file: SiteFile): Promise<readonly Difference[]> {
  const served = await fetchFile(new URL(address, site), file.size);
  if (!('bytes' in served)) return [{ path: address, ...served }];
  const sha256 = createHash('sha256').update(served.bytes).digest('hex');
  const changed: Difference[] =
    sha256 === file.sha256
      ? []
      : [{ path: address, kind: 'changed', detail: `SHA-256 ${sha256}, in the build ${file.sha256}` }];
  return [...changed, ...compareHeaders(address, file, served.headers)];
}

/** Scripts are at home under more than one type. */
const essence = (type: string) =>
  type.split(';')[0]?.trim().replace('application/javascript', 'text/javascript');

/** Types matter everywhere; what keeps pages and workers within bounds matters on documents and scripts. */
function compareHeaders(address: string, { path }: SiteFile, headers: Headers): Difference[] {
  const bounds = /\.(html|js)$/.test(path) ? siteHeaders(address) : {};
  const details = Object.entries({ ...bounds, 'content-type': contentTypeOf(path) }).flatMap(
    ([name, value]) => {
      const found = headers.get(name) ?? '';
      const same = name === 'content-type' ? essence(found) === essence(value) : found === value;
      return same ? [] : [`${name} is "${found}", expected "${value}"`];
    },
  );
  return details.length === 0 ? [] : [{ path: address, kind: 'header', detail: details.join('; ') }];
}

/** That nobody signed is no difference: the bytes were compared. A signature that does not hold is one. */
async function readSignature(
  site: URL,
  release: ReleaseText,
): Promise<{ signed: Signed | null; differences: readonly Difference[] }> {
  const path = `/${SIGNATURE_FILE}`;
  const served = await fetchFile(new URL(path, site), releaseLimits.signatureBytes);
  if (!('bytes' in served)) return { signed: null, differences: [] };
  const text = new TextDecoder().decode(served.bytes);
  const signed = await checkSignature(release, text, release.release.keys);
  if (signed.ok) return { signed: signed.value, differences: [] };
  const detail = `${signed.failure.code}: it is not one of this build by a key in web/release/release-keys.json`;
  return { signed: null, differences: [{ path, kind: 'signature', detail }] };
}
