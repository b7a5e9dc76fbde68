/**
 * Keeps the site that this browser has: every file is hashed against the release it belongs to, and another release takes
 * its place only when one of the keys that the present one names has signed it, later. On this machine's own address every
 * build is taken: there the server is whoever sits at it.
 */
import type { Failure } from '@tussah/protocol/errors';
import {
  changedPaths,
  fileOf,
  INDEX_FILE,
  readRelease,
  WORKER_FILE,
  type ReleaseText,
  type SiteFile,
} from '@tussah/protocol/site/release';
import {
  checkSignature,
  judgeSuccessor,
  type InstalledRelease,
  type Signed,
} from '@tussah/protocol/site/release-signature';
import { matches, respond, type Bytes } from './file-bytes.ts';
import { KeptReleases, type Kept } from './kept-releases.ts';
import { SiteServer, type Fetch } from './site-server.ts';
import type { SiteReport } from './site-report.ts';

export interface GuardParts {
  readonly fetch: Fetch;
  readonly caches: CacheStorage;
  readonly now: () => number;
  /** True on the addresses of this machine itself. */
  readonly development: boolean;
  /** Something in the report is different now. */
  readonly onChange: () => void;
}

/** Larger files, which are engines, are kept once they were wanted. Models keep their own files. */
const KEPT_AT_ONCE_BYTES = 512 * 1024;
const PATHS_SHOWN = 20;

export class SiteGuard {
  readonly #parts: GuardParts;
  readonly #kept: KeptReleases;
  readonly #server: SiteServer;
  /** Files of the installed release that the server sent otherwise; the next check looks at them too. */
  readonly #suspects = new Set<string>();
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  constructor(parts: GuardParts) {
    this.#parts = parts;
    this.#kept = new KeptReleases(parts.caches);
    this.#server = new SiteServer(parts.fetch);
  }

  /** Keeps the release that the server has now, unless there is one already. Throws when it can't be kept whole. */
  async install(): Promise<void> {
    if ((await this.#kept.read()) !== null) return;
    const text = await this.#server.readRelease();
    const offered = typeof text === 'string' ? readRelease(text) : undefined;
    if (offered?.ok !== true) throw new Error('the server publishes no release');
    const { value } = offered;
    const signature = (await this.#server.readSignature()) ?? null;
    const signed = await checkSignature(value, signature, value.release.keys);
    await this.#adopt({ ...value, signed: signed.ok ? signed.value : null }, null);
  }

  /** A file of a kept release, checked now. Undefined when no kept release has such a file. */
  async serve(path: string, status = 200): Promise<{ response: Response; release: string } | undefined> {
    const kept = await this.#kept.read();
    for (const release of [kept?.installed, kept?.previous]) {
      const file = release === undefined || release === null ? undefined : fileOf(release.release, path);
      if (release === undefined || release === null || file === undefined) continue;
      const bytes = await this.#bytesOf(release, file);
      return {
        response: bytes === undefined ? Response.error() : respond(bytes, path, status),
        release: release.sha256,
      };
    }
    return undefined;
  }

  /** Compares the server with what is kept, and moves on to a release that it may move on to. */
  check(): Promise<void> {
    // One that runs may have asked the server already: whoever calls now waits for the next.
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      const run = this.#check();
      this.#running = run.catch(() => undefined);
      return run;
    });
    return this.#next;
  }

  async report(page: string | null): Promise<SiteReport> {
    const kept = await this.#kept.read();
    const { release, sha256, signed } = kept?.installed ?? {};
    return {
      mode: this.#parts.development ? 'development' : 'guarded',
      installed:
        release === undefined || sha256 === undefined
          ? null
          : { version: release.version, sha256, signed: signed ?? null },
      page,
      refusal: kept?.refusal ?? null,
    };
  }

  forget(): Promise<void> {
    return this.#kept.forget();
  }

  async #check(): Promise<void> {
    const kept = await this.#kept.read();
    if (kept === null) return this.install();
    const text = await this.#server.readRelease();
    if (text === undefined) return;
    if (this.#parts.development) return this.#follow(kept, text);
    if (text === null) return this.#refuse(failures.release_missing);
    if (text === kept.installed.text) return this.#checkSame(kept);
    const offered = readRelease(text);
    if (!offered.ok) return this.#refuse(offered.failure);
    const signature = await this.#server.readSignature();
    if (signature === undefined) return;
    const judged = await judgeSuccessor(kept.installed, offered.value, signature);
    if (!judged.ok)
      return this.#refuse(judged.failure, changedPaths(kept.installed.release, offered.value.release));
    await this.#moveOn(kept, offered.value, judged.value);
  }

  /** In development every build is taken, and what can't be read is ignored. */
  async #follow(kept: Kept, text: string | null): Promise<void> {
    const offered = text === null || text === kept.installed.text ? undefined : readRelease(text);
    if (offered?.ok === true) await this.#moveOn(kept, offered.value, null);
  }

  /** The list is the same: so are the files that browsers ask for first, or else somebody changed them. */
  async #checkSame(kept: Kept): Promise<void> {
    const { release, signed } = kept.installed;
    const paths = new Set([INDEX_FILE, WORKER_FILE, ...this.#suspects, ...(kept.refusal?.paths ?? [])]);
    const changed: string[] = [];
    for (const path of paths) {
      const file = fileOf(release, path);
      const answer = file === undefined ? undefined : await this.#server.readFile(file, true);
      if (answer?.kind === 'away') return;
      if (answer?.kind === 'changed') changed.push(path);
    }
    if (changed.length > 0) return this.#refuse(failures.file_changed, changed);
    this.#suspects.clear();
    if (signed === null) return this.#lookForSignature(kept);
    if (kept.refusal !== null) await this.#write({ ...kept, refusal: null });
  }

  /** A release that is published first and signed later. */
  async #lookForSignature(kept: Kept): Promise<void> {
    const { installed } = kept;
    const signature = (await this.#server.readSignature()) ?? null;
    const signed = await checkSignature(installed, signature, installed.release.keys);
    if (signed.ok)
      await this.#write({ ...kept, installed: { ...installed, signed: signed.value }, refusal: null });
    else if (kept.refusal !== null) await this.#write({ ...kept, refusal: null });
  }

  async #moveOn(kept: Kept, offered: ReleaseText, signed: Signed | null): Promise<void> {
    try {
      await this.#adopt({ ...offered, signed }, kept.installed);
    } catch (error) {
      if (!(error instanceof FileChanged)) throw error;
      await this.#refuse(failures.file_changed, [error.path]);
    }
  }

  /** Fetches what a release needs at once; only when all of it is right does it become the installed one. */
  async #adopt(next: InstalledRelease, previous: InstalledRelease | null): Promise<void> {
    const needed = next.release.files.filter(
      ({ path, size }) => size <= KEPT_AT_ONCE_BYTES && !path.startsWith('models/'),
    );
    for (const file of needed) {
      const answer = await this.#server.readFile(file);
      if (answer.kind === 'changed') throw new FileChanged(file.path);
      if (answer.kind === 'away') throw new Error(`the server does not send ${file.path}`);
      await this.#kept.writeFile(next.sha256, file, answer.bytes);
    }
    await this.#write({ installed: next, previous, refusal: null });
    this.#suspects.clear();
  }

  async #bytesOf(release: InstalledRelease, file: SiteFile): Promise<Bytes | undefined> {
    const cached = await this.#kept.readFile(release, file);
    if (cached !== undefined && (await matches(cached, file))) return cached;
    const answer = await this.#server.readFile(file);
    if (answer.kind === 'same') {
      await this.#kept.writeFile(release.sha256, file, answer.bytes);
      return answer.bytes;
    }
    // It is wrong, or the server has moved on to a release without it: the check that follows will tell.
    if (answer.kind === 'changed') this.#suspects.add(file.path);
    return undefined;
  }

  async #refuse(failure: Failure, paths: readonly string[] = []): Promise<void> {
    const kept = await this.#kept.read();
    if (kept === null) return;
    const { code, message, remedy } = failure;
    const shown = paths.slice(0, PATHS_SHOWN);
    await this.#write({ ...kept, refusal: { code, message, remedy, paths: shown, atMs: this.#parts.now() } });
  }

  async #write(kept: Kept): Promise<void> {
    await this.#kept.write(kept);
    this.#parts.onChange();
  }
}

/** A file of a release that is not what its list says. */
class FileChanged extends Error {
  readonly path: string;
  constructor(path: string) {
    super(`${path} is not what the release says`);
    this.path = path;
  }
}

const failures = {
  release_missing: {
    code: 'release_missing',
    message: 'The server no longer publishes the list of files that this site consists of.',
    remedy: 'Go on with the copy that you have. Ask whoever runs this site what changed, over another way.',
  },
  file_changed: {
    code: 'file_changed',
    message: 'The server offers files that are not those of the release it names.',
    remedy: 'Go on with the copy that you have. Ask whoever runs this site what changed, over another way.',
  },
} as const satisfies Record<string, Failure>;
