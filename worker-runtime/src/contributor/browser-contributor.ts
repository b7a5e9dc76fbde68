/** A contributor made of the browser's own parts. The engines stay outside: whoever calls says how one is made. */
import { runAnswer } from '../engine/answer.ts';
import { expectedOf, fileOf, named } from '../engine/build-files.ts';
import { ModelFiles } from '../engine/download.ts';
import type { EngineBuild } from '../engine/port.ts';
import { openCodec, type TokenCodec } from '../engine/token-codec.ts';
import { browserClock, openWebSocket } from './browser-ports.ts';
import { chooseBuild, readDevice } from './choose-build.ts';
import { Contributor } from './contributor.ts';
import { indexedDbIdentities, webLockLeadership } from './identity.ts';
import type { ContributorPorts } from './ports.ts';
import type { ContributorSettings } from './snapshot.ts';

/** Any text does: only the speed of going on matters. */
const WARM_UP_TEXT = 'Once upon a time';

/** `parts` may also replace any of the browser's own. */
export function browserContributor(
  settings: ContributorSettings,
  parts: Pick<ContributorPorts, 'engineFor' | 'agent'> & Partial<ContributorPorts>,
): Contributor {
  let codec: TokenCodec | undefined;
  return new Contributor(settings, {
    openSocket: openWebSocket,
    clock: browserClock,
    identities: indexedDbIdentities(),
    leadership: webLockLeadership(),
    chooseBuild: async (settings) => chooseBuild(settings, await readDevice()),
    async warmUpPrompt({ build }, signal) {
      codec ??= await readCodec(build, signal);
      const text = `${codec.bosToken ?? ''}${WARM_UP_TEXT}`;
      return { text, ids: codec.encode(text) };
    },
    async *runAnswer(port, { prompt, prefix, sampling, maxTokens, seedRoot, topLogprobs, stop }, signal) {
      if (codec === undefined) throw new Error('answers come after the warm-up');
      const job = { prompt, prefix, sampling, maxTokens, seedRoot, topLogprobs };
      yield* runAnswer({ port, job, codec, stop, signal });
    },
    ...parts,
  });
}

/** The engine has just read the same files: they come from the browser's cache. */
async function readCodec(build: EngineBuild, signal: AbortSignal): Promise<TokenCodec> {
  const files = new ModelFiles();
  const config = build.files.find(named('tokenizer_config.json'));
  const tokenizer = fileOf(build, 'tokenizer', named('tokenizer.json'));
  return openCodec({
    tokenizer: await files.read(expectedOf(tokenizer), signal),
    config: config === undefined ? null : await files.read(expectedOf(config), signal),
  });
}
