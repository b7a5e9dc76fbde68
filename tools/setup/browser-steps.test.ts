import { describe, expect, it } from 'vitest';
import { browserRemedy, browserSteps, type Machine } from './browser-steps.ts';

const machine = (programs: readonly string[], rest: Partial<Machine> = {}): Machine => ({
  platform: 'linux',
  root: false,
  sudo: false,
  has: (program) => programs.includes(program),
  ...rest,
});
const commandsOf = (given: Machine) =>
  browserSteps(given).flatMap((step) =>
    step.kind === 'packages' ? step.commands.map((c) => c.join(' ')) : [],
  );

describe('the ways to get a browser', () => {
  it("begin with Playwright's own download, on every machine", () => {
    expect(browserSteps(machine([])).map((step) => step.kind)).toEqual(['download']);
    expect(browserSteps(machine(['apt-get'], { root: true }))[0]?.kind).toBe('download');
  });

  it('go on with apt-get as root: the lists first, then the browser', () => {
    const [update, install] = commandsOf(machine(['apt-get'], { root: true }));
    expect(update).toMatch(/^apt-get .*update$/);
    expect(install).toMatch(/^apt-get .*install -y .*chromium$/);
  });

  it('use sudo only where it asks for no password', () => {
    expect(commandsOf(machine(['apt-get'], { sudo: true }))[0]).toMatch(/^sudo -n apt-get/);
    expect(commandsOf(machine(['apt-get']))).toEqual([]);
  });

  it.each(['dnf', 'pacman', 'zypper', 'apk'])('know %s', (program) => {
    const [command] = commandsOf(machine([program], { root: true }));
    expect(command?.startsWith(program)).toBe(true);
  });

  it('use Homebrew without rights, and never as root', () => {
    const mac = machine(['brew'], { platform: 'darwin' });
    expect(commandsOf(mac)).toEqual(['brew install --cask google-chrome']);
    expect(commandsOf({ ...mac, root: true })).toEqual([]);
  });

  it('do not take a package manager for that of another system', () => {
    expect(commandsOf(machine(['apt-get'], { platform: 'darwin', root: true }))).toEqual([]);
  });
});

describe('the remedy when none works', () => {
  it('is a command one can type', () => {
    expect(browserRemedy(machine(['apt-get']))).toContain(
      'sudo apt-get update && sudo apt-get install -y chromium',
    );
  });

  it('names what to install where no package manager is known', () => {
    expect(browserRemedy(machine([], { platform: 'win32' }))).toContain('Install Google Chrome or Chromium');
  });
});
