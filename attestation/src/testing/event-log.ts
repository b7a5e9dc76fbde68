/** A dstack event log that tests share, and an image whose registers it adds up to. */
import { hexOf } from '@tussah/protocol/bytes';
import { readDstackLog, runtimeDigest } from '../event-log/dstack.ts';
import { replay } from '../event-log/replay.ts';
import type { Policy, TdxImage } from '../policy/policy.ts';
import { simulatedImageName } from '../simulated/bundle.ts';
import { simulatedTdxImage } from '../simulated/tdx-quote.ts';
import { policy } from './world.ts';

const event = async (imr: number, name: string) => ({
  imr,
  event_type: 0x08000001,
  digest: hexOf(await runtimeDigest(name, new Uint8Array())),
  event: name,
  event_payload: '',
});

export const events = await Promise.all([event(0, 'firmware'), event(3, 'app-id'), event(3, 'ready')]);
export const eventLog = { format: 'dstack', events } as const;

const registers = await replay(await readDstackLog(events));
export const loggedImage: TdxImage = { ...simulatedTdxImage, rtmr: registers.map(hexOf) as never };
/** Accepts the simulated image with and without the log. */
export const loggedPolicy: Policy = {
  ...policy,
  images: [...policy.images, { name: simulatedImageName, tdx: loggedImage }],
};
