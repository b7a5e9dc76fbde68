/**
 * Shows on stderr that something is going on: what it is, for how long, and its last line. One line that is rewritten on
 * a terminal; elsewhere, where lines stay, a line at the start, one now and then, and one at the end.
 */
const terminalMs = 120;
const logMs = 5000;
/** After this, a line three times as rarely. */
const patientMs = 30_000;

export function startActivity(title, stream = process.stderr) {
  const startedAt = Date.now();
  const seconds = () => `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
  const onTerminal = stream.isTTY === true && process.env.TERM !== 'dumb';
  let last = '';
  const show = () => {
    const text = `${title} ... ${seconds()}${last === '' ? '' : `, ${last}`}`;
    if (onTerminal) stream.write(`\r\u001B[K${text.slice(0, (stream.columns ?? 80) - 1)}`);
    else stream.write(`${text}\n`);
  };
  if (!onTerminal) stream.write(`${title} ...\n`);
  let ticks = 0;
  const tick = () => {
    const rarely = !onTerminal && Date.now() - startedAt > patientMs;
    if (!rarely || ++ticks % 3 === 0) show();
  };
  const timer = setInterval(tick, onTerminal ? terminalMs : logMs);
  timer.unref();
  const end = (word, detail) => {
    clearInterval(timer);
    stream.write(
      `${onTerminal ? '\r\u001B[K' : ''}${title}: ${word} in ${seconds()}${detail ? `, ${detail}` : ''}\n`,
    );
  };
  return {
    /** What happens at the moment; shown with the next line. */
    note(text) {
      last = text;
    },
    done: (detail) => end('done', detail),
    failed: (detail) => end('failed', detail),
  };
}
