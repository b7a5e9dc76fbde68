/** A server of the site that can be told to change what it sends, and browsers that take it for somebody else's. */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { contentTypeOf } from '@tussah/protocol/site/content-type';
import {
  INDEX_FILE,
  readRelease,
  RELEASE_FILE,
  SIGNATURE_FILE,
  textOfRelease,
  type Release,
} from '@tussah/protocol/site/release';
import { siteHeaders } from '@tussah/protocol/site/site-headers';
import { browserArguments, findBrowser, sandboxPossible } from '@tussah/worker-runtime/headless/find-browser';
import { chromium, type Browser } from 'playwright';
import { readBuild } from '../web/release/read-build.ts';
import { signBuild } from '../web/release/sign.ts';

const HOST = 'site.test';

/** A server of this machine under a name that a browser of `launchAway` takes for another one's. */
export const awayUrl = (url: string): string => `http://${HOST}:${new URL(url).port}`;

/** A browser to which a server of this machine seems to be a secure one elsewhere. */
export function launchAway(url: string): Promise<Browser> {
  const executablePath = findBrowser();
  return chromium.launch({
    ...(executablePath === undefined ? {} : { executablePath }),
    args: [
      ...browserArguments({ softwareWebGpu: true, sandbox: sandboxPossible() }),
      `--host-resolver-rules=MAP ${HOST} 127.0.0.1`,
      `--unsafely-treat-insecure-origin-as-secure=${awayUrl(url)}`,
    ],
  });
}

export class SiteUnderTest {
  readonly folder: string;
  readonly #server: Server;
  readonly #port: number;

  private constructor(folder: string, server: Server) {
    this.folder = folder;
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Serves what lies in a folder. */
  static async start(folder: string): Promise<SiteUnderTest> {
    const server = createServer((request, response) => {
      const path = new URL(request.url ?? '/', 'http://site').pathname;
      const isPage = !path.startsWith('/v1/') && !path.includes('.');
      const file = join(folder, isPage ? INDEX_FILE : path);
      const found = existsSync(file) && statSync(file).isFile();
      response.writeHead(found ? 200 : 404, {
        ...siteHeaders(path),
        'content-type': path.endsWith('.evil') ? 'text/html' : contentTypeOf(file),
        'cache-control': 'no-cache',
      });
      response.end(found ? readFileSync(file) : '{}');
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return new SiteUnderTest(folder, server);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Serves a copy of a built site from now on, unsigned. */
  reset(built: string): void {
    rmSync(this.folder, { recursive: true, force: true });
    cpSync(built, this.folder, { recursive: true });
    rmSync(join(this.folder, SIGNATURE_FILE), { force: true });
  }

  read(path: string): string {
    return readFileSync(join(this.folder, path), 'utf8');
  }

  write(path: string, text: string): void {
    mkdirSync(join(this.folder, path, '..'), { recursive: true });
    writeFileSync(join(this.folder, path), text);
  }

  /** Makes what lies in the folder a release that names `keys`; unsigned until somebody signs. */
  publish(version: string, keys: readonly string[]): void {
    const read = readRelease(this.read(RELEASE_FILE));
    if (!read.ok) throw new Error(read.failure.message);
    const release: Release = {
      ...read.value.release,
      version,
      keys: [...keys],
      files: readBuild(this.folder),
    };
    this.write(RELEASE_FILE, textOfRelease(release));
    rmSync(join(this.folder, SIGNATURE_FILE), { force: true });
  }

  sign(keyFile: string, atMs: number): void {
    signBuild(this.folder, [keyFile], atMs);
  }

  /** Pretends to be gone. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  async startAgain(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(this.#port, '127.0.0.1', done));
  }
}
