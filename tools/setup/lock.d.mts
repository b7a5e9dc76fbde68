export function withLock<T>(
  path: string,
  options: { onWait: (pid: number | undefined) => void; work: () => Promise<T> },
): Promise<T>;
export function tryLock(path: string): (() => void) | undefined;
