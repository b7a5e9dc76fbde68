import { expect, test } from 'vitest';
import { watchDevices } from './gpu-device.ts';

function adapter() {
  const lost = Promise.withResolvers<{ reason: string; message: string }>();
  const device = Object.assign(new EventTarget(), { lost: lost.promise });
  const prototype = { requestDevice: async () => device } as unknown as Pick<GPUAdapter, 'requestDevice'>;
  return { prototype, device, lost };
}
const soon = <T>(promise: Promise<T>) =>
  Promise.race([promise, new Promise<'nothing'>((resolve) => setTimeout(() => resolve('nothing'), 5))]);

test('the engine gets its device, and its loss is seen', async () => {
  const { prototype, device, lost } = adapter();
  const watch = watchDevices(prototype);
  expect(await prototype.requestDevice()).toBe(device);
  lost.resolve({ reason: 'unknown', message: 'driver reset' });
  expect(await watch.fault).toEqual({ kind: 'lost', reason: 'driver reset' });
});

test('a device destroyed on purpose is no fault', async () => {
  const { prototype, lost } = adapter();
  const watch = watchDevices(prototype);
  await prototype.requestDevice();
  lost.resolve({ reason: 'destroyed', message: '' });
  expect(await soon(watch.fault)).toBe('nothing');
});

test('an error that nobody caught is a fault, with its kind', async () => {
  const { prototype, device } = adapter();
  const watch = watchDevices(prototype);
  await prototype.requestDevice();
  class GPUOutOfMemoryError extends Error {}
  device.dispatchEvent(
    Object.assign(new Event('uncapturederror'), { error: new GPUOutOfMemoryError('no room') }),
  );
  expect(await watch.fault).toEqual({ kind: 'error', reason: 'GPUOutOfMemoryError: no room' });
});

test('afterwards requestDevice is the original', () => {
  const { prototype } = adapter();
  const original = prototype.requestDevice;
  watchDevices(prototype).stop();
  expect(prototype.requestDevice).toBe(original);
});
