/** `node web/release/sign.ts`: makes release keys, and signs a built site with them. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { signedBytes } from '@tussah/protocol/canonical';
import { domains } from '@tussah/protocol/signatures';
import { readRelease, RELEASE_FILE, SIGNATURE_FILE } from '@tussah/protocol/site/release';
import type { ReleaseSignature, ReleaseStatement } from '@tussah/protocol/site/release-signature';
import { readBuild } from './read-build.ts';

const help = `node web/release/sign.ts --new-key FILE
node web/release/sign.ts --key FILE [--key FILE ...] [--build DIR]

  --new-key FILE  makes a key, writes its private part to FILE (PKCS #8) and prints its public part,
                  which belongs in web/release/release-keys.json before the build
  --key FILE      signs the build with this key; several while keys are being replaced
  --build DIR     the built site, web/dist when left out

The signature is written beside the build, as ${SIGNATURE_FILE}. docs/releases.md tells the whole way.
Exit status: 0 done, 2 refused.
`;

/** Something that whoever signs has to put right. */
export class SigningRefused extends Error {
  override readonly name = 'SigningRefused';
}

/** Makes a key pair; returns the public key, 64 hexadecimal digits. Never writes over a file. */
export function newKey(file: string): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
  return publicKeyOf(privateKey);
}

/** Signs what lies in `folder`, if that is what its list says, and writes the signature beside it. */
export function signBuild(folder: string, keyFiles: readonly string[], nowMs: number): ReleaseStatement {
  const read = readRelease(readFileSync(join(folder, RELEASE_FILE), 'utf8'));
  if (!read.ok) throw new SigningRefused(`${RELEASE_FILE} is not that of a build.`);
  const { release, sha256 } = read.value;
  if (JSON.stringify(readBuild(folder)) !== JSON.stringify(listed(release.files)))
    throw new SigningRefused(`The files in ${folder} are not those that ${RELEASE_FILE} lists. Build again.`);
  const keys = keyFiles.map((file) => createPrivateKey(readFileSync(file)));
  if (!keys.some((key) => release.keys.includes(publicKeyOf(key))))
    throw new SigningRefused(
      'None of these keys is in web/release/release-keys.json. Add one and build again.',
    );
  const statement = { release: sha256, version: release.version, issuedAtMs: nowMs };
  const bytes = signedBytes(domains.siteRelease, statement);
  const signatures = keys.map((key) => ({
    key: publicKeyOf(key),
    signature: sign(null, bytes, key).toString('hex'),
  }));
  const signature: ReleaseSignature = { statement, signatures };
  writeFileSync(join(folder, SIGNATURE_FILE), `${JSON.stringify(signature, null, 2)}\n`);
  return statement;
}

/** Members in the order in which a build is read. */
const listed = (files: ReturnType<typeof readBuild>) =>
  files.map(({ path, size, sha256 }) => ({ path, size, sha256 }));

function publicKeyOf(privateKey: KeyObject): string {
  const { kty, crv, x } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (kty !== 'OKP' || crv !== 'Ed25519' || x === undefined)
    throw new SigningRefused('A release key is an Ed25519 key; make one with --new-key.');
  return Buffer.from(x, 'base64url').toString('hex');
}

function main(args: string[]): void {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h' },
      'new-key': { type: 'string' },
      key: { type: 'string', multiple: true },
      build: { type: 'string' },
    },
  });
  if (values['new-key'] !== undefined) return void process.stdout.write(`${newKey(values['new-key'])}\n`);
  if (values.help === true || values.key === undefined) return void process.stdout.write(help);
  const folder = values.build ?? join(import.meta.dirname, '../dist');
  const { release, version } = signBuild(folder, values.key, Date.now());
  process.stdout.write(`Signed version ${version}, release ${release}.\n`);
}

if (import.meta.main)
  try {
    main(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
  }
