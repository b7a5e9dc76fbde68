/** What can keep the headless contributor from running, each with its remedy. */
import type { Failure } from '@tussah/protocol/errors';

export const failures = {
  noBrowser: (named: string | undefined): Failure => ({
    code: 'no_browser',
    message:
      named === undefined
        ? 'No Chromium, Chrome or Edge was found on this machine.'
        : `There is no executable browser at ${named}.`,
    remedy:
      'Install one (Debian: apt install chromium; anywhere: npx playwright install chromium), or name it with --browser PATH or TUSSAH_BROWSER.',
  }),
  launch: (error: unknown): Failure => ({
    code: 'browser_failed',
    message: `The browser did not start: ${firstLine(error)}`,
    remedy:
      'Start it by hand to see what it says; on a small machine look at free memory, in a container at its libraries.',
  }),
  crashed: (what: string): Failure => ({
    code: 'browser_crashed',
    message: `${what} ended unexpectedly.`,
    remedy: 'Look at the free memory of this machine; choose a smaller model.',
  }),
  silent: (origin: string): Failure => ({
    code: 'page_silent',
    message: `The Contribute page of ${origin} did not begin.`,
    remedy: 'Compare the versions of this checkout and of the coordinator’s site.',
  }),
  unreachable: (origin: string, why: string): Failure => ({
    code: 'unreachable',
    message: `The coordinator at ${origin} can’t be reached (${why}).`,
    remedy: 'Check the address, and that it runs: its /healthz answers when it does.',
  }),
  noPage: (address: URL, status: number): Failure => ({
    code: 'no_contribute_page',
    message: `${address.origin}${address.pathname} answered HTTP ${status}.`,
    remedy: 'Give the origin of a Tussah coordinator that serves the site.',
  }),
  host: (error: unknown): Failure => ({
    code: 'host_failed',
    message: `The headless contributor can’t run: ${firstLine(error)}`,
    remedy: 'Check that the profile’s folder can be written, or name another with --profile.',
  }),
} as const;

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split('\n')[0] ?? '').slice(0, 200);
}
