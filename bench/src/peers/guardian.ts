/** Runs a program that is not ours, tells its process id, and ends it when whoever started this is gone. */
import { spawn } from 'node:child_process';

const STDERR_CHARACTERS = 2_000;
const KILL_AFTER_MS = 5_000;

const [command = '', ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
let said = '';
child.stderr
  .setEncoding('utf8')
  .on('data', (text: string) => (said = (said + text).slice(-STDERR_CHARACTERS)));
child.on('spawn', () => process.send?.({ pid: child.pid }));
child.on('error', (error) => {
  process.send?.({ ended: error.message });
  process.exitCode = 1;
});
child.on('exit', (code, signal) => {
  if (process.connected) process.send?.({ ended: `it ended with ${code ?? signal}: ${said.trim()}` });
  process.exit();
});
process.on('disconnect', () => {
  child.kill();
  setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref();
});
