/** `npm run verify`: a site is compared with this checkout, which knows how to build it; all else needs no checkout. */
import { main as verifyRest, type Streams } from '@tussah/coordinator/verify/verify-main';
import { main as verifySite, siteHelp } from './verify-site/main.ts';

const streams: Streams = {
  stdin: process.stdin,
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
};
const args = process.argv.slice(2);
const command = args.find((arg) => !arg.startsWith('-'));

process.exitCode = command === 'site' ? await verifySite(args, streams) : await verifyRest(args, streams);
if (command === undefined && process.exitCode === 0) streams.out(`\n${siteHelp}`);
