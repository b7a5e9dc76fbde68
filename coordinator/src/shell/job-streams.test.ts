/** When deltas are passed on, and when the client counts as having them. */
import { describe, expect, it, vi } from 'vitest';
import { failure } from '@tussah/protocol/errors';
import { JobStreams, type Delta, type Ending, type Listener } from './job-streams.ts';
import { pause } from './scripted-contributor.ts';

const JOB = 'job_1';
const resumable = { idempotency: null, resumable: { flow: 'alice', requestHash: 'h' } };
const plain = { idempotency: null, resumable: null };

const delta = (position: number, text: string): Delta => ({
  position,
  ids: [...text].map((c) => c.charCodeAt(0)),
  text,
  logprobs: undefined,
});

class Ear implements Listener {
  text = '';
  ending: Ending | undefined;
  sent = true;
  gone = false;
  delta({ text }: Delta): void {
    this.text += text;
  }
  end(ending: Ending): void {
    this.ending = ending;
  }
  hasSent(): boolean {
    return this.sent;
  }
  replaced(): void {
    this.gone = true;
  }
}

function streams(graceMs = 1_000) {
  const abandon = vi.fn<(jobId: string) => void>();
  return { all: new JobStreams(abandon, () => 0, graceMs), abandon };
}

/** A write that ends when it is told to. */
function writing() {
  let end: (done: boolean) => void = () => undefined;
  const write = vi.fn<() => Promise<boolean>>(() => new Promise((resolve) => (end = resolve)));
  return { write, done: () => end(true), fail: () => end(false) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a stream', () => {
  it.each([
    ['not resumable', plain],
    ['resumable', resumable],
  ])('that is %s has sent everything when one of its listeners has', (_, returning) => {
    const { all } = streams();
    const stream = all.open(JOB, returning);
    expect(all.hasSent(JOB)).toBe(false);
    const ear = new Ear();
    all.listen(stream, ear);
    all.deliver(JOB, delta(0, 'abc'));
    expect(all.hasSent(JOB)).toBe(true);
    ear.sent = false;
    expect(all.hasSent(JOB)).toBe(false);
    all.listen(stream, new Ear());
    expect(all.hasSent(JOB)).toBe(true);
    expect(all.hasSent('job_2')).toBe(false);
  });

  it('passes nothing on while it is held, and then all of it', async () => {
    const { all } = streams();
    const ear = new Ear();
    all.listen(all.open(JOB, resumable), ear);
    const { write, done } = writing();
    all.hold(JOB, write);
    all.deliver(JOB, delta(0, 'ab'));
    all.deliver(JOB, delta(2, 'c'));
    expect(write).toHaveBeenCalledOnce();
    expect([ear.text, all.hasSent(JOB)]).toEqual(['', false]);
    done();
    await turn();
    expect([ear.text, all.hasSent(JOB)]).toEqual(['abc', true]);
    all.deliver(JOB, delta(3, 'd'));
    expect(ear.text).toBe('abcd');
  });

  it('is held on when the write fails, which is tried again', async () => {
    const { all } = streams();
    const ear = new Ear();
    all.listen(all.open(JOB, resumable), ear);
    const { write, done, fail } = writing();
    all.hold(JOB, write);
    all.deliver(JOB, delta(0, 'ab'));
    fail();
    await vi.waitFor(() => expect(write).toHaveBeenCalledTimes(2), { timeout: 3_000 });
    expect(ear.text).toBe('');
    done();
    await turn();
    expect(ear.text).toBe('ab');
  });

  it('is held by each of several writes in turn', async () => {
    const { all } = streams();
    const ear = new Ear();
    all.listen(all.open(JOB, resumable), ear);
    const [first, second] = [writing(), writing()];
    all.hold(JOB, first.write);
    all.deliver(JOB, delta(0, 'ab'));
    all.hold(JOB, second.write);
    all.deliver(JOB, delta(2, 'cd'));
    expect(second.write).not.toHaveBeenCalled();
    first.done();
    await turn();
    expect(ear.text).toBe('ab');
    await vi.waitFor(() => expect(second.write).toHaveBeenCalledOnce());
    second.done();
    await turn();
    expect(ear.text).toBe('abcd');
  });

  it('is not written down before its client has what came before', async () => {
    const { all } = streams();
    const stream = all.open(JOB, resumable);
    const slow = new Ear();
    const leave = all.listen(stream, slow);
    slow.sent = false;
    all.deliver(JOB, delta(0, 'ab'));
    const { write, done } = writing();
    all.hold(JOB, write);
    all.deliver(JOB, delta(2, 'cd'));
    await pause(120);
    leave();
    await pause(120);
    expect(write).not.toHaveBeenCalled();
    // It comes back for what it had not got, and gets no more than that for now.
    const back = new Ear();
    all.resume(stream, back, delta(1, 'b'));
    await vi.waitFor(() => expect(write).toHaveBeenCalledOnce());
    expect(back.text).toBe('b');
    done();
    await turn();
    expect(back.text).toBe('bcd');
  });

  it('passes on what it held when it ends', () => {
    const { all } = streams();
    const ear = new Ear();
    all.listen(all.open(JOB, resumable), ear);
    all.hold(JOB, writing().write);
    all.deliver(JOB, delta(0, 'ab'));
    const ending: Ending = { kind: 'failed', failure: failure('contributor_failed'), receipt: null };
    all.end(JOB, ending);
    expect([ear.text, ear.ending]).toEqual(['ab', ending]);
    expect(all.byJob(JOB)).toBeUndefined();
  });

  it('goes on with the listener that resumes it, in place of the others', () => {
    const { all } = streams();
    const stream = all.open(JOB, resumable);
    const [older, newer] = [new Ear(), new Ear()];
    const leave = all.listen(stream, older);
    all.deliver(JOB, delta(0, 'ab'));
    all.resume(stream, newer, delta(1, 'b'));
    leave();
    all.deliver(JOB, delta(2, 'c'));
    expect([older.text, older.gone, newer.text]).toEqual(['ab', true, 'bc']);
  });

  it('is abandoned at once when nobody can come back, else after the grace', async () => {
    const { all, abandon } = streams(50);
    all.listen(all.open('job_plain', plain), new Ear())();
    expect(abandon).toHaveBeenCalledExactlyOnceWith('job_plain');
    const stream = all.open(JOB, resumable);
    const leave = all.listen(stream, new Ear());
    leave();
    all.listen(stream, new Ear());
    await pause(80);
    expect(abandon).toHaveBeenCalledOnce();
  });
});
