/**
 * Sessions that go right up to some step and wrong from there. Whatever was done, each ends with a frame that must be
 * refused, so that every session shows that the coordinator still answers as documented.
 */
import { closeCodes, type ContributorFrame } from '@tussah/protocol/contributor-frames';
import { newId } from '@tussah/protocol/ids';
import type { Act } from './attack.ts';
import { blow, type Blow } from './hostile-frames.ts';
import { HostilePeer, type newIdentities } from './hostile-peer.ts';
import type { Random } from './random.ts';
import { frameOf, opcodes } from './raw-websocket.ts';

export interface Battlefield {
  readonly url: string;
  readonly identities: ReturnType<typeof newIdentities>;
  /** Sessions and keys of honest contributors, as an eavesdropper would know them. */
  readonly others: readonly { readonly publicKey: string; readonly sessionId: string }[];
  /** Asks for an answer, so that there is a job to be offered. */
  readonly ask: () => void;
}

/** The coordinator closes within this; its own grace for the handshake of closing is 2 s. */
const CLOSE_MS = 15_000;

/** How far a session goes right before it goes wrong. */
type Depth = 'challenged' | 'proving' | 'open' | 'ready' | 'offered' | 'answering' | 'done';
const depths: readonly Depth[] = [
  'challenged',
  'challenged',
  'proving',
  'open',
  'open',
  'ready',
  'ready',
  'offered',
  'answering',
  'answering',
  'done',
];

/** One session with one to three blows. */
export async function hostileSession(field: Battlefield, random: Random): Promise<Act> {
  const peer = new HostilePeer(field.url, random.pick(field.identities));
  const depth = random.pick(depths);
  const blows: Blow[] = [];
  const strike = (right: ContributorFrame, jobId = newId('job')) => {
    for (let i = random.pick([1, 1, 1, 2, 3]); i > 0; i--) {
      const next = blow(random, right, jobId);
      blows.push(next);
      peer.socket.send(next.bytes);
    }
  };
  const begun = await peer.frame('challenge');
  const reached = begun === undefined ? 'nowhere' : await goWrong(field, random, peer, depth, strike);
  const fault = begun === undefined ? 'no challenge came' : await endOf(peer, blows);
  peer.socket.destroy();
  return {
    kind: `session ${reached}`,
    inputs: Math.max(
      1,
      blows.reduce((sum, { inputs }) => sum + inputs, 0),
    ),
    fault,
    sent: () => blows.map(({ name }) => name).join('\n  then '),
  };
}

type Strike = (right: ContributorFrame, jobId?: string) => void;

/** Returns how far it came: to be offered a job takes a job. */
async function goWrong(
  field: Battlefield,
  random: Random,
  peer: HostilePeer,
  depth: Depth,
  strike: Strike,
): Promise<Depth> {
  const send = (frame: ContributorFrame) => peer.socket.text(JSON.stringify(frame));
  const other = random.pick(field.others);
  if (depth === 'challenged') {
    // Somebody else's key or session, or something that is no hello at all.
    if (random.chance(0.3)) send(peer.hello({ publicKey: other.publicKey, resume: other.sessionId }));
    strike(peer.hello(random.chance(0.3) ? { nonce: '0'.repeat(64) } : {}));
    return depth;
  }
  send(peer.hello(random.chance(0.3) ? { resume: other.sessionId } : {}));
  if (depth === 'proving' || (await peer.frame('welcome')) === undefined || depth === 'open') {
    strike(peer.ready);
    return depth === 'open' ? 'open' : 'proving';
  }
  send(peer.ready);
  if (depth !== 'ready') field.ask();
  const offer = depth === 'ready' ? undefined : await peer.offer();
  if (offer === undefined) {
    strike({ type: 'status', state: 'ready' });
    return 'ready';
  }
  const answer = peer.answerTo(offer);
  const right =
    depth === 'offered' ? 0 : depth === 'done' ? answer.length : 1 + random.below(answer.length - 1);
  // An honest session up to here, something hostile in place of the next frame, and sometimes the honest rest.
  for (const frame of answer.slice(0, right)) send(frame);
  strike(answer[right] ?? random.pick(answer), offer.jobId);
  if (random.chance(0.3)) for (const frame of answer.slice(right + 1)) send(frame);
  return depth;
}

const knownCodes = new Map<string, number>([
  ['malformed_frame', closeCodes.malformedFrame],
  ['key_not_proven', closeCodes.unauthorized],
  ['illegal_frame', closeCodes.illegalFrame],
  ['ask_too_high', closeCodes.illegalFrame],
  ['unknown_build', closeCodes.illegalFrame],
  ['bad_signature', closeCodes.illegalFrame],
  ['session_replaced', closeCodes.replaced],
  ['frame_too_large', closeCodes.frameTooLarge],
  ['too_fast', closeCodes.tooFast],
  ['protocol_mismatch', closeCodes.protocolMismatch],
  ['timeout', closeCodes.timeout],
]);
/** RFC 6455 section 7.4.1: breaches of the WebSocket protocol itself, for which docs/protocol.md has these codes. */
const transportCodes = new Set([1002, 1007, 1008, 1009]);

/** Ends the session with a frame that can't be legal, and judges how it was refused; undefined when all was well. */
async function endOf(peer: HostilePeer, blows: readonly Blow[]): Promise<string | undefined> {
  const { socket } = peer;
  socket.text('this is no frame');
  const dangling = blows.some((each) => each.dangling === true);
  const answered = await socket.until(() => socket.closeCode !== undefined, dangling ? 50 : CLOSE_MS);
  // Answers the close, as RFC 6455 section 5.5.1 wants.
  socket.send(frameOf(opcodes.close, ''));
  const { frames } = peer;
  const fault = socket.fault ?? peer.fault;
  if (fault !== undefined) return fault;
  if (!answered) return dangling ? undefined : 'it was not refused';
  const { closeCode = 0 } = socket;
  const last = frames.at(-1);
  if (last?.type === 'refused') {
    if (knownCodes.get(last.code) !== closeCode)
      return `refused with ${last.code} and closed with ${closeCode}`;
    return last.message.length > 10 && last.remedy.length > 10 ? undefined : 'no sentence or no remedy';
  }
  if (transportCodes.has(closeCode)) return undefined;
  // A close of ours is answered with its own code.
  const closedByUs = blows.some(({ name }) => name.startsWith('a close') || name === 'noise');
  return closedByUs ? undefined : `closed with ${closeCode} and no word`;
}
