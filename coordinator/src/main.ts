/** `npm run coordinator`: serves, or administers a coordinator that runs on this machine. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { runAdmin, adminHelp } from './admin-cli.ts';
import { ConfigError, readConfig, settingsHelp } from './shell/config.ts';
import { startCoordinator } from './shell/coordinator.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

const help = `Usage: npm run coordinator -- [serve] [flags]
       npm run coordinator -- keys create|list|revoke|credit ... [flags]

serve: answers the API, dispatches jobs to contributors and serves the site, until Ctrl-C.

${settingsHelp()}

Each flag is also a variable: --guest-fund-ton is TUSSAH_GUEST_FUND_TON.

${adminHelp}`;

async function serve(args: readonly string[]): Promise<number> {
  const config = readConfig(args, process.env, root);
  // To stderr: standard output is for the line that says where it listens.
  const log = pino({ level: config.logLevel, base: null }, pino.destination({ dest: 2, sync: false }));
  const coordinator = await startCoordinator({ config, modelsFolder: join(root, 'models'), version, log });
  console.log(JSON.stringify({ event: 'listening', url: coordinator.url, publicKey: coordinator.publicKey }));
  if (!existsSync(join(config.siteFolder, 'index.html')))
    log.warn('there is no built site; make it with `npm run build`');
  const signal = new Promise<'stop'>((done) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(name, () => {
        done('stop');
        // A second signal does not wait for the running answers.
        process.on(name, () => process.exit(1));
      });
  });
  const ended = await Promise.race([signal, coordinator.broken.then((error) => ({ error }))]);
  if (ended === 'stop') {
    log.info('stopping: running answers may end');
    await coordinator.close();
    return 0;
  }
  log.fatal({ err: ended.error }, 'an invariant is broken; restart to recover from the books');
  log.flush();
  // Its sockets and timers would keep the process alive.
  return process.exit(1);
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(help);
    return 0;
  }
  const [command, ...rest] = args;
  try {
    if (command === 'keys') return await runAdmin(rest, root);
    return await serve(command === 'serve' ? rest : args);
  } catch (error) {
    if (error instanceof ConfigError) {
      console.error(error.message);
      return 2;
    }
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error;
    console.error(`${(error as Error).message}. Choose another --port.`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
