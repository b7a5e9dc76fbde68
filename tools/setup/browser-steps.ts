/** Which ways there are to get a browser onto this machine, in the order in which they are tried. */

export interface Machine {
  readonly platform: NodeJS.Platform;
  /** May install system packages directly. */
  readonly root: boolean;
  /** `sudo` works without asking for a password. */
  readonly sudo: boolean;
  /** Whether a program is in the PATH. */
  readonly has: (program: string) => boolean;
}

export type BrowserStep =
  | { readonly kind: 'download'; readonly title: string }
  /** Commands that run one after the other; a failed one ends the step. */
  | { readonly kind: 'packages'; readonly title: string; readonly commands: readonly (readonly string[])[] };

interface Manager {
  readonly program: string;
  readonly platforms: readonly NodeJS.Platform[];
  readonly needsRoot: boolean;
  readonly commands: readonly (readonly string[])[];
}

const managers: readonly Manager[] = [
  {
    program: 'apt-get',
    platforms: ['linux'],
    needsRoot: true,
    commands: [
      ['apt-get', '-o', 'DPkg::Lock::Timeout=60', 'update'],
      ['apt-get', '-o', 'DPkg::Lock::Timeout=60', 'install', '-y', '--no-install-recommends', 'chromium'],
    ],
  },
  {
    program: 'dnf',
    platforms: ['linux'],
    needsRoot: true,
    commands: [['dnf', 'install', '-y', 'chromium']],
  },
  {
    program: 'pacman',
    platforms: ['linux'],
    needsRoot: true,
    commands: [['pacman', '-Sy', '--noconfirm', '--needed', 'chromium']],
  },
  {
    program: 'zypper',
    platforms: ['linux'],
    needsRoot: true,
    commands: [['zypper', '--non-interactive', 'install', 'chromium']],
  },
  { program: 'apk', platforms: ['linux'], needsRoot: true, commands: [['apk', 'add', 'chromium']] },
  {
    program: 'brew',
    platforms: ['darwin', 'linux'],
    needsRoot: false,
    commands: [['brew', 'install', '--cask', 'google-chrome']],
  },
];

/** Playwright's own download first: it needs no rights and changes nothing outside the home folder. */
export function browserSteps(machine: Machine): BrowserStep[] {
  const steps: BrowserStep[] = [{ kind: 'download', title: 'Downloading Chromium with Playwright' }];
  const manager = managerOf(machine);
  if (manager === undefined) return steps;
  const prefix = manager.needsRoot && !machine.root ? ['sudo', '-n'] : [];
  if (manager.needsRoot && !machine.root && !machine.sudo) return steps;
  // Homebrew refuses to run as root.
  if (!manager.needsRoot && machine.root) return steps;
  steps.push({
    kind: 'packages',
    title: `Installing Chromium with ${manager.program}`,
    commands: manager.commands.map((command) => [...prefix, ...command]),
  });
  return steps;
}

/** What a person should do, where nothing of the above helped. */
export function browserRemedy(machine: Machine): string {
  const manager = managerOf(machine);
  const sudo = manager?.needsRoot === true && !machine.root ? ['sudo'] : [];
  const commands = manager?.commands.map((command) => [...sudo, ...command.filter(plain)].join(' '));
  const here = commands === undefined ? '' : ` (here: ${commands.join(' && ')})`;
  return `Install Google Chrome or Chromium${here}, or name one in TUSSAH_BROWSER, then run the command again.`;
}

/** Leaves out what only an unattended run needs. */
const plain = (word: string, i: number, words: readonly string[]) =>
  !word.startsWith('-o') &&
  !word.includes('::') &&
  words[i - 1] !== '-o' &&
  word !== '--no-install-recommends';

const managerOf = (machine: Machine): Manager | undefined =>
  managers.find((each) => each.platforms.includes(machine.platform) && machine.has(each.program));
