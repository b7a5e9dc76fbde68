/**
 * Keeps hold of the GPU device that an engine makes for itself. WebLLM only logs when its device is lost or errs; the one
 * way to its device is to stand in the way of `requestDevice`, in a worker that is ours alone.
 */
export interface DeviceFault {
  readonly kind: 'lost' | 'error';
  readonly reason: string;
}

export interface DeviceWatch {
  /** Resolves at the first fault of a device made since, never for one destroyed on purpose. */
  readonly fault: Promise<DeviceFault>;
  /** Devices made from now on are no longer watched. */
  stop(): void;
}

/** `prototype` is `GPUAdapter.prototype`, or a stand-in in tests. */
export function watchDevices(prototype: Pick<GPUAdapter, 'requestDevice'>): DeviceWatch {
  const { promise, resolve } = Promise.withResolvers<DeviceFault>();
  const original = prototype.requestDevice;
  const wrapped = async function requestDevice(this: GPUAdapter, descriptor?: GPUDeviceDescriptor) {
    const device = await original.call(this, descriptor);
    void (async () => {
      const { reason, message } = await device.lost;
      if (reason !== 'destroyed') resolve({ kind: 'lost', reason: message || 'The device was lost.' });
    })();
    // Whatever is wrong, out of memory or an invalid kernel: results are no longer to be trusted.
    device.addEventListener('uncapturederror', ({ error }) => {
      resolve({ kind: 'error', reason: `${error.constructor.name}: ${error.message}`.slice(0, 300) });
    });
    return device;
  };
  prototype.requestDevice = wrapped;
  return {
    fault: promise,
    stop() {
      if (prototype.requestDevice === wrapped) prototype.requestDevice = original;
    },
  };
}
