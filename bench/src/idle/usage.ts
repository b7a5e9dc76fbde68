/** What a measured server tells of itself whenever the bench asks. */

export interface Usage {
  /** Bytes of memory that the process holds. */
  readonly rss: number;
  /** Bytes of live objects in its JavaScript heap. */
  readonly heap: number;
  readonly cpu: NodeJS.CpuUsage;
}

/** Answers each message with the usage, after a collection of garbage. */
export function tellUsage(): void {
  process.on('message', () => {
    globalThis.gc?.();
    const { rss, heapUsed } = process.memoryUsage();
    process.send?.({ rss, heap: heapUsed, cpu: process.cpuUsage() } satisfies Usage);
  });
}
