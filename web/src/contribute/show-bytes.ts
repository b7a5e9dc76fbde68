/** Bytes as a download shows them: `2.8 MB`, `945 MB`, `1.4 GB`; decimal units, as browsers count. */
export function showMegabytes(bytes: number): string {
  const megabytes = bytes / 1e6;
  if (megabytes >= 1000) return `${(megabytes / 1000).toFixed(1)} GB`;
  return `${megabytes >= 10 ? Math.round(megabytes) : megabytes.toFixed(1)} MB`;
}
