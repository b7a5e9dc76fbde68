/** `npm run verify -- site`: is what a server sends what these sources make? */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { printable } from '@tussah/attestation/cli/printable';
import { root } from '../setup/processes.ts';
import { ensureSite } from '../start/site.ts';
import { compareSite, UnusableBuild, type SiteComparison } from './compare.ts';
import { Unreachable } from './fetch-file.ts';

export const siteHelp = `npm run verify -- site URL [--build DIR] [--json]

  site    fetches every file of the site at URL and compares it with a build of this checkout, and the headers that
          protect it with those it should have

  --build DIR  a built site to compare with. Without it web/dist is used, and built where needed
  --json       print {"verdict", "release", "signed", "differences", ...} instead of text

Exit status: 0 the same, 1 different, 2 it can't be judged.
`;

export interface Output {
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
}

/** Runs the command and returns its exit status. `args` hold the word `site`. */
export async function main(args: readonly string[], { out, error }: Output): Promise<0 | 1 | 2> {
  try {
    const { values, positionals } = parse(args);
    if (values.help === true) {
      out(siteHelp);
      return 0;
    }
    const [, address, ...more] = positionals;
    if (address === undefined || more.length > 0) throw new Unusable('One URL is needed.', seeHelp);
    const comparison = await compareSite(siteOf(address), values.build ?? (await builtSite()));
    out(values.json === true ? `${JSON.stringify(comparison, null, 2)}\n` : textOf(comparison));
    return comparison.verdict === 'same' ? 0 : 1;
  } catch (failed) {
    const unusable = unusableOf(failed);
    if (unusable === undefined) throw failed;
    error(`${printable(unusable.message)}\n${unusable.remedy}\n`);
    return 2;
  }
}

const seeHelp = 'See npm run verify -- site --help.';

/** There is nothing to judge, or nothing to judge by. */
class Unusable extends Error {
  readonly remedy: string;
  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

function unusableOf(error: unknown): Unusable | undefined {
  if (error instanceof Unusable) return error;
  if (error instanceof Unreachable)
    return new Unusable(error.message, 'Check the address, and that the site is up.');
  if (error instanceof UnusableBuild)
    return new Unusable(error.message, 'Make one with `npm run build`, or leave out --build.');
  return undefined;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        build: { type: 'string' },
      },
    });
  } catch (error) {
    throw new Unusable(error instanceof Error ? error.message : String(error), seeHelp);
  }
}

function siteOf(address: string): URL {
  const url = URL.parse(address);
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.pathname !== '/')
    throw new Unusable(`${address} is not the address of a site, such as https://example.org.`, seeHelp);
  return url;
}

async function builtSite(): Promise<string> {
  const built = await ensureSite();
  if (!built.ok) throw new Unusable(built.failure.message, built.failure.remedy);
  return join(root, 'web', 'dist');
}

/** What the server sent is shown without control characters, which could rewrite the screen. */
function textOf({ verdict, version, release, files, bytes, signed, differences }: SiteComparison): string {
  const lines = [
    ...differences.map(({ path, kind, detail }) => `${kind.padEnd(9)} ${path}: ${detail}`),
    `${files} files, ${bytes} bytes, version ${version}, release ${release}`,
    signed === null
      ? 'unsigned'
      : `signed on ${new Date(signed.issuedAtMs).toISOString()} with the key ${signed.key}`,
    verdict,
  ];
  return `${lines.map(printable).join('\n')}\n`;
}
