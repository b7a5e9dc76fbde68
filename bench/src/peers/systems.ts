/** What is compared: each is started in processes of its own, with settings that make it as light as it can be. */
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { MODEL } from '../relay/load.ts';
import { installLiteLlm, installPortkey, LITELLM, NODE_SERVER, PORTKEY } from './install.ts';

export interface System {
  readonly name: string;
  readonly url: string;
  /** CPU and memory are those of this process and its descendants. */
  readonly pid: number;
  readonly version: string;
  readonly settings: string;
  stop(): void;
}

/** Where a system is started. */
export interface Place {
  /** The address of the server behind the gateways. */
  readonly upstream: string;
  /** For configuration files; removed at the end. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

const script = (name: string): string => join(import.meta.dirname, name);

/** Runs a script of ours; resolves with its first message. */
export async function forked(
  name: string,
  args: readonly string[] = [],
): Promise<{ child: ChildProcess; message: unknown }> {
  const child = fork(script(name), args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exit = once(child, 'exit').then(() => Promise.reject(new Error(`${name} ended early`)));
  const [message] = (await Promise.race([once(child, 'message'), exit])) as [unknown];
  exit.catch(() => undefined);
  return { child, message };
}

type Guarded = { readonly pid: number } | { readonly ended: string };

/** Runs a program of others; throws why it didn't start. */
async function guarded(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ pid: number; stop: () => void; ended: Promise<never> }> {
  const child = fork(script('guardian.ts'), [command, ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // Nothing of ours: a variable of this shell must not switch anything on.
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
  });
  const [first] = (await once(child, 'message')) as [Guarded];
  if ('ended' in first) {
    child.disconnect();
    throw new Error(first.ended);
  }
  const ended = once(child, 'message').then(([last]) =>
    Promise.reject(new Error((last as { ended: string }).ended)),
  );
  ended.catch(() => undefined);
  return { pid: first.pid, stop: () => child.disconnect(), ended };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const NGINX_REMEDY =
  'Install nginx (Debian and Ubuntu: apt-get install nginx-light; macOS: brew install nginx) so that it is on the PATH.';

export async function startNginx({ upstream, folder }: Place): Promise<System> {
  const version = await promisify(execFile)('nginx', ['-v']).then(
    ({ stderr }) => /nginx\/([\d.]+)/.exec(stderr)?.[1] ?? 'unknown',
    () => Promise.reject(new Error(NGINX_REMEDY)),
  );
  const port = await freePort();
  const configuration = join(folder, 'nginx.conf');
  writeFileSync(
    configuration,
    `worker_processes 1;
     daemon off;
     pid ${folder}/nginx.pid;
     error_log stderr;
     events { worker_connections 4096; }
     http {
       access_log off;
       ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join('\n')}
       upstream behind { server ${new URL(upstream).host}; keepalive 1024; keepalive_requests 1000000; }
       server {
         listen 127.0.0.1:${port};
         keepalive_requests 1000000;
         location / {
           proxy_pass http://behind;
           proxy_http_version 1.1;
           proxy_set_header Connection "";
           proxy_buffering off;
         }
       }
     }`,
  );
  const { pid, stop } = await guarded('nginx', ['-c', configuration, '-e', 'stderr']);
  const settings = '1 worker, proxy_buffering off, kept-alive upstream connections, no access log';
  return { name: 'nginx', url: `http://127.0.0.1:${port}`, pid, version, settings, stop };
}

export async function startNodePipe({ upstream }: Place): Promise<System> {
  const { child, message } = await forked('node-pipe.ts', [upstream]);
  return {
    name: 'Node pipe',
    url: (message as { url: string }).url,
    pid: child.pid ?? 0,
    version: process.version,
    settings: 'node:http piped to node:http, kept-alive upstream connections',
    stop: () => child.disconnect(),
  };
}

export async function startPortkey({ say }: Place): Promise<System> {
  const server = await installPortkey(say);
  const port = await freePort();
  const loopbackOnly = `--import=${script('loopback-only.ts')}`;
  const { pid, stop, ended } = await guarded(
    process.execPath,
    [loopbackOnly, server, `--port=${port}`, '--headless'],
    { NODE_ENV: 'production' },
  );
  const url = `http://127.0.0.1:${port}`;
  await listening(url, ended);
  const settings = `npm build, @hono/node-server ${NODE_SERVER}, headless, provider openai, custom host; Node ${process.version}, NODE_ENV=production`;
  return { name: 'Portkey', url, pid, version: PORTKEY, settings, stop };
}

/** Nothing but the proxying: no database, callbacks, telemetry, documentation pages or downloads. */
export async function startLiteLlm({ upstream, folder, say }: Place): Promise<System> {
  const command = await installLiteLlm(say);
  const port = await freePort();
  const configuration = join(folder, 'litellm.json');
  const model = { model: `openai/${MODEL}`, api_base: `${upstream}/v1`, api_key: 'none' };
  writeFileSync(
    configuration,
    // JSON is YAML.
    JSON.stringify({
      model_list: [{ model_name: MODEL, litellm_params: model }],
      litellm_settings: { telemetry: false, callbacks: [], success_callback: [], failure_callback: [] },
      general_settings: { disable_spend_logs: true, dangerously_permit_weak_or_unset_master_key: true },
    }),
  );
  const { pid, stop, ended } = await guarded(
    command,
    ['--config', configuration, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1'],
    {
      LITELLM_LOG: 'ERROR',
      LITELLM_MODE: 'PRODUCTION',
      LITELLM_LOCAL_MODEL_COST_MAP: 'True',
      DISABLE_ADMIN_UI: 'True',
      NO_DOCS: 'True',
    },
  );
  const url = `http://127.0.0.1:${port}`;
  await listening(url, ended);
  const settings =
    '1 uvicorn worker, no key, database, callbacks, telemetry or documentation, log level ERROR, LITELLM_MODE=PRODUCTION';
  return { name: 'LiteLLM', url, pid, version: LITELLM, settings, stop };
}

const START_TIMEOUT_MS = 90_000;

/** Resolves when something answers HTTP there, whatever it says. */
async function listening(url: string, ended: Promise<never>): Promise<void> {
  const untilMs = Date.now() + START_TIMEOUT_MS;
  const answers = async () => {
    while (Date.now() < untilMs) {
      const up = await fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
        () => true,
        () => false,
      );
      if (up) return;
      await new Promise((done) => setTimeout(done, 200));
    }
    throw new Error(`nothing answers after ${START_TIMEOUT_MS / 1_000} s`);
  };
  await Promise.race([answers(), ended]);
}
