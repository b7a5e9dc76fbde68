/** `npm run coordinator` as people and service managers meet it: a process with flags, signals and exit codes. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ScriptedContributor } from './scripted-contributor.ts';
import { runCommand, startServer } from './testing/child.ts';
import { BUILD, eventsOf, MODEL, says, temporaryFolder, until, type SseEvent } from './testing/harness.ts';

const ANSWER = '12 + 7 = 19. And 19 + 7 = 26.';
const TIME_MS = 30_000;

const contribute = (url: string, delayMs?: number): Promise<ScriptedContributor> =>
  ScriptedContributor.connect({ url, model: MODEL, build: BUILD, script: says(ANSWER, delayMs) });

const ask = (url: string, key: string, stream = false): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: MODEL, stream, messages: [{ role: 'user', content: 'What is 12 + 7?' }] }),
  });

describe('keys', () => {
  it(
    'are created, listed, credited and revoked while the coordinator runs',
    async () => {
      const data = temporaryFolder();
      const { url } = await startServer(data);
      const contributor = await contribute(url);
      const keys = (...args: string[]) => runCommand('keys', ...args, '--url', url, '--data', data);

      const created = await keys('create', '--name', 'Ada', '--ton', '0.5', '--weight', '3');
      expect(created).toMatchObject({ code: 0, errors: '' });
      const [, account = '', key = '', keyId = ''] =
        /^account (acct_\w+)\nkey {5}(tsk_[\w-]+)\nkey id {2}(key_\w+)\n/.exec(created.output) ?? [];
      expect(account).not.toBe('');
      expect((await ask(url, key)).status).toBe(200);

      const listed = await keys('list');
      expect(listed.output).toMatch(new RegExp(`^${account}  0\\.49\\d+ TON  Ada\\n  ${keyId}\\n$`));
      expect(listed.output).not.toContain(key);

      const credited = await keys('credit', '--account', account, '--ton', '2');
      expect(credited.output).toMatch(/^balance 2\.49\d+ TON\n$/);
      expect((await keys('credit', '--account', 'guests', '--ton', '1')).output).toMatch(/^balance 2 TON/);

      expect(await keys('revoke', keyId)).toMatchObject({ code: 0, output: `revoked ${keyId}\n` });
      expect((await ask(url, key)).status).toBe(401);
      expect((await keys('list')).output).toContain(`${keyId}  revoked`);
      contributor.close();
    },
    TIME_MS,
  );

  it(
    'refuse what cannot be done with a sentence and exit code 2',
    async () => {
      const data = temporaryFolder();
      const { url } = await startServer(data);
      const there = ['--url', url, '--data', data];
      const cases: [string[], RegExp][] = [
        [['create', ...there], /keys create needs --name/],
        [['create', '--name', 'x', '--ton', 'much', ...there], /--ton must be a sum/],
        [['create', '--name', 'x', '--weight', 'heavy', ...there], /expected shape/],
        [['revoke', ...there], /needs the id of a key/],
        [['revoke', 'key_none', ...there], /no such key/],
        [['credit', '--account', 'acct_none', '--ton', '1', ...there], /no such account/],
        [['destroy', ...there], /Unknown action "destroy"/],
        [['list', '--colour', ...there], /--colour/],
        [['list', '--url', url, '--data', join(data, 'nowhere')], /start the coordinator first/],
        [['list', '--url', 'http://127.0.0.1:9', '--data', data], /No coordinator answers at/],
        [['list', '--url', 'nonsense', '--data', data], /--url/],
      ];
      const results = await Promise.all(cases.map(([args]) => runCommand('keys', ...args)));
      for (const [i, { code, output, errors }] of results.entries()) {
        expect({ code, output }, errors).toEqual({ code: 2, output: '' });
        expect(errors).toMatch(cases[i]?.[1] ?? /never/);
        expect(errors).not.toMatch(/\n\s+at /);
      }
    },
    TIME_MS,
  );
});

describe('a coordinator', () => {
  it(
    'keeps its secrets to its owner, and ends well on SIGTERM: the running answer completes',
    async () => {
      const data = temporaryFolder();
      const server = await startServer(data);
      for (const name of ['admin-token', 'coordinator-key.pem'])
        expect(statSync(join(data, name)).mode & 0o077, name).toBe(0);
      await contribute(server.url, 20);
      const events: SseEvent[] = [];
      const read = async (response: Response) => {
        for await (const event of eventsOf(response)) events.push(event);
      };
      const reading = ask(server.url, 'guest', true).then(read);
      await until('it streams', () => events.length > 2);
      server.process.kill('SIGTERM');
      await reading;
      expect(events.map((event) => event.choices?.[0]?.delta.content ?? '').join('')).toBe(ANSWER);
      expect(events.at(-1)?.tussah?.receipt.outcome).toBe('complete');
      expect(await server.exited).toBe(0);
      expect(server.output().trim().split('\n')).toHaveLength(1);
    },
    TIME_MS,
  );

  it(
    'does not wait for running answers when it is told twice',
    async () => {
      const server = await startServer(temporaryFolder());
      const contributor = await contribute(server.url, 1_000);
      const asked = ask(server.url, 'guest', true);
      asked.catch(() => undefined);
      await until('it runs', () => contributor.offers.length === 1);
      server.process.kill('SIGTERM');
      await contributor.frame('drain');
      server.process.kill('SIGTERM');
      expect(await server.exited).toBe(1);
    },
    TIME_MS,
  );

  it(
    'says what is wrong and exits when its port is taken, a flag is wrong, or help is asked for',
    async () => {
      const data = temporaryFolder();
      const { url } = await startServer(data);
      const [taken, wrong, help] = await Promise.all([
        runCommand('--port', new URL(url).port, '--data', join(data, 'second')),
        runCommand('serve', '--port', 'high'),
        runCommand('--help'),
      ]);
      expect(taken).toMatchObject({ code: 1, output: '' });
      expect(taken.errors).toMatch(/EADDRINUSE.*Choose another --port\.\n$/);
      expect(wrong).toMatchObject({ code: 2, output: '' });
      expect(wrong.errors).toBe('--port must be a whole number from 0 to 65535, not "high".\n');
      expect(help).toMatchObject({ code: 0, errors: '' });
      expect(help.output).toMatch(/--guest-fund-ton[^]*keys create --name NAME/);
    },
    TIME_MS,
  );
});
