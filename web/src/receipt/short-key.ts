/** The two ends of a key or address: enough to tell two apart at a glance, never to compare them in earnest. */
export const shortKey = (key: string): string =>
  key.length <= 12 ? key : `${key.slice(0, 4)}…${key.slice(-4)}`;
