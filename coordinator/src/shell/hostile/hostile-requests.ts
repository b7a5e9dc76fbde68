/** HTTP requests with something wrong in what they say: bodies, headers, keys, addresses and methods. */
import { brokenOff, pipelined, wrongFraming, wrongUpgrade } from './hostile-transport.ts';
import { mutatedJson, mutatedText } from './json-mutations.ts';
import type { Random } from './random.ts';
import {
  baseHeaders,
  chatHead,
  render,
  setHeader,
  smallRequest,
  wholeRequest,
  type Credentials,
  type Head,
  type HostileRequest,
} from './request-parts.ts';
import {
  addresses,
  conditionalHeaders,
  conditions,
  contentTypes,
  framingHeaders,
  framingValues,
  MARKER,
  methods,
  oddHeaderNames,
  oddHosts,
  oddKeys,
  versions,
  wrongValues,
} from './vocabulary.ts';

/** One hostile request. */
export function hostileRequest(random: Random, given: Credentials): HostileRequest {
  const dice = random.next();
  if (dice < 0.55) return wrongBody(random, given);
  if (dice < 0.67) return wrongHead(random, given);
  if (dice < 0.79) return wrongAddress(random);
  if (dice < 0.87) return wrongFraming(random, given);
  if (dice < 0.92) return wrongAdministration(random);
  if (dice < 0.96) return wrongUpgrade(random);
  if (dice < 0.98) return pipelined(random, given);
  return brokenOff(random, given);
}

// Mutations are made in UTF-8 or byte by byte, both of which are hostile in their own way.
const encode = (random: Random, text: string): Buffer =>
  Buffer.from(text, random.chance(0.95) ? 'utf8' : 'latin1');

function requestBody(random: Random, given: Credentials): unknown {
  const dice = random.next();
  if (dice < 0.3) return smallRequest(given.model);
  const whole = wholeRequest(given.model);
  if (dice < 0.8) return whole;
  // Ids that may be an answer's, of a job that nobody has.
  const resume = { jobId: `job_${'0'.repeat(24)}`, ids: [65, 66, 67] };
  return { ...whole, tussah: { ...whole.tussah, resumable: true, ...(dice < 0.9 ? {} : { resume }) } };
}

function wrongBody(random: Random, given: Credentials): HostileRequest {
  const valid = requestBody(random, given);
  const dice = random.next();
  const text =
    dice < 0.9
      ? mutatedJson(random, valid)
      : dice < 0.95
        ? mutatedText(random, JSON.stringify(valid))
        : random.pick(wrongValues);
  const body = encode(random, text);
  const head = chatHead(given, body);
  if (random.chance(0.2)) setHeader(head, 'idempotency-key', `k${random.below(50)}`);
  if (random.chance(0.1)) setHeader(head, 'authorization', undefined);
  return { kind: 'body', parts: [Buffer.from(render(head)), body] };
}

/** Each spoils the head of an honest request in one way. */
const headFaults: readonly ((head: Head, random: Random, given: Credentials) => void)[] = [
  (head, random, { revokedKey }) =>
    setHeader(head, 'authorization', `Bearer ${random.pick([...oddKeys, revokedKey])}`),
  (head, random, { key }) =>
    setHeader(
      head,
      'authorization',
      random.pick([...oddKeys, `Basic ${MARKER}`, `bearer ${key}`, `Bearer  ${key} `]),
    ),
  (head, random) => setHeader(head, 'idempotency-key', random.pick(oddKeys)),
  (head) => head.headers.push(['idempotency-key', 'a'], ['Idempotency-Key', MARKER]),
  (head, random) => setHeader(head, 'content-type', random.pick(contentTypes)),
  (head, random) => head.headers.push([random.pick(framingHeaders), random.pick(framingValues)]),
  (head, random) => {
    for (let i = random.below(300); i >= 0; i--) head.headers.push([`x-${i}`, MARKER]);
  },
  (head, random) => head.headers.push(['x-long', 'y'.repeat(random.pick([1_000, 16_000, 17_000, 70_000]))]),
  (head, random) => setHeader(head, 'host', random.pick(oddHosts)),
  (head, random) => head.headers.push([random.pick(oddHeaderNames), MARKER]),
  (head, random) =>
    head.headers.push(['x-forwarded-for', random.pick(['', MARKER, '::1%lo', '1,'.repeat(3_000)])]),
  (head) => head.headers.push(['accept', '*/*,'.repeat(500)]),
];

function wrongHead(random: Random, given: Credentials): HostileRequest {
  const body = Buffer.from(JSON.stringify(smallRequest(given.model)));
  const head = chatHead(given, body);
  random.pick(headFaults)(head, random, given);
  return { kind: 'head', parts: [Buffer.from(render(head), 'latin1'), body] };
}

function wrongAddress(random: Random): HostileRequest {
  const method = random.pick(methods);
  let path = random.pick(addresses);
  if (random.chance(0.2))
    path = mutatedText(random, path)
      .slice(0, 20_000)
      .replaceAll(/[\r\n]/g, '%0a');
  const headers = [...baseHeaders];
  if (random.chance(0.2)) headers.push([random.pick(conditionalHeaders), random.pick(conditions)]);
  const version = random.chance(0.9) ? 'HTTP/1.1' : random.pick(versions);
  return {
    kind: 'address',
    head: method === 'HEAD',
    parts: [Buffer.from(render({ method, path, version, headers }), 'latin1')],
  };
}

function wrongAdministration(random: Random): HostileRequest {
  const [method, path] = random.pick([
    ['GET', '/v1/admin/accounts'],
    ['POST', '/v1/admin/accounts'],
    ['POST', '/v1/admin/keys'],
    ['DELETE', `/v1/admin/keys/key_${'0'.repeat(24)}`],
    ['POST', '/v1/admin/credit'],
    ['HEAD', '/v1/admin/accounts'],
    ['GET', '/v1/admin/accounts/../accounts'],
    ['GET', '/v1/%61dmin/accounts'],
    ['GET', '//v1/admin/accounts'],
  ] as const);
  const body = Buffer.from(
    mutatedJson(random, { name: MARKER, weight: 1, account: 'guests', amountNano: '5', reference: 'r' }),
  );
  const token = random.pick([
    undefined,
    'Bearer ',
    'Bearer undefined',
    `Bearer ${MARKER}`,
    MARKER,
    'Bearer null',
    `Bearer ${'t'.repeat(43)}`,
  ]);
  const headers: [string, string][] = [
    ...baseHeaders,
    ['content-type', 'application/json'],
    ['content-length', String(body.length)],
  ];
  if (token !== undefined) headers.push(['authorization', token]);
  const head = Buffer.from(render({ method, path, version: 'HTTP/1.1', headers }));
  return { kind: 'administration', head: method === 'HEAD', parts: [head, body] };
}
