/**
 * Run before commands that drive a browser. Prints the path of one that starts, having installed it if need be, and exits
 * 0; else prints `{"error": ...}`, says it on stderr too, and exits 1.
 */
import { ensureBrowser } from './setup/browser.ts';

const found = await ensureBrowser();
if (found.ok) {
  console.log(found.value);
} else {
  const { message, remedy } = found.failure;
  process.stderr.write(`${message}\n${remedy}\n`);
  console.log(JSON.stringify({ error: found.failure }));
  process.exitCode = 1;
}
