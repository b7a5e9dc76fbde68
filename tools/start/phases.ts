/** What each phase took, for `--verbose`. */
export class Phases {
  readonly #phases: { readonly name: string; readonly ms: number }[] = [];

  async measure<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      return await work();
    } finally {
      this.#phases.push({ name, ms: performance.now() - startedAt });
    }
  }

  toString(): string {
    const total = this.#phases.reduce((sum, { ms }) => sum + ms, 0);
    return [...this.#phases, { name: 'altogether', ms: total }]
      .map(({ name, ms }) => `  ${name.padEnd(24)}${(ms / 1000).toFixed(2).padStart(7)} s`)
      .join('\n');
  }
}
