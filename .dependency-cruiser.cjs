/** The floors: imports go down only. Each rule lists what a floor may not reach. */
const floors = [
  'protocol',
  'attestation',
  'client',
  'models',
  'contracts',
  'worker-runtime',
  'coordinator',
  'web',
  'bench',
];
const folder = (names) => `^(${names.join('|')})/`;

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-unresolved',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '\\.css$|\\?worker|\\?url|virtual:' },
    },
    ...floors.map((floor, i) => ({
      name: `${floor}-imports-upward`,
      severity: 'error',
      from: { path: `^${floor}/` },
      to: { path: folder(floors.slice(i + 1).concat(['tools', 'e2e'])) },
    })),
    {
      name: 'web-without-coordinator',
      severity: 'error',
      from: { path: '^web/' },
      to: { path: '^coordinator/' },
    },
    {
      name: 'coordinator-without-runtime',
      severity: 'error',
      from: { path: '^coordinator/' },
      to: { path: '^worker-runtime/' },
    },
    {
      name: 'sim-on-core',
      comment: 'the simulator stands in for the shell: it knows core and protocol only',
      severity: 'error',
      from: { path: '^coordinator/src/sim/' },
      to: { path: '^(coordinator/src/(?!core/|sim/)|models/|client/|attestation/)' },
    },
    {
      name: 'pure-core',
      comment: 'core/ is pure: no shell, no I/O',
      severity: 'error',
      from: { path: '^coordinator/src/core/', pathNot: '\\.test\\.ts$' },
      to: {
        path: '^(coordinator/src/(?!core/)|node:(?!crypto))|^(fs|net|http|https|timers|worker_threads|child_process)$|node_modules/(fastify|ws|pino|kysely|better-sqlite3)/',
      },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.svelte'],
    },
  },
};
