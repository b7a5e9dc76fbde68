/** The words of hostile input: values, names, keys, methods and addresses that somebody's code could stumble over. */

/** Planted wherever a string may stand. It must never appear in a log. All of it may be part of a name. */
export const MARKER = 'kestrel7731marker';

const words = (text: string): string[] => text.trim().split(/\s+/);
const nested = (open: string, close: string, depth: number) => `${open.repeat(depth)}1${close.repeat(depth)}`;

/** JSON values that few fields allow, as they are spelled; some are no JSON at all. */
export const wrongValues: readonly string[] = [
  ...words(String.raw`
    null true false 0 -0 -0.0 1 -1 0.5 1.5 255 256 65536 16777216 2147483648 -2147483649 4294967296
    9007199254740991 9007199254740992 9007199254740993 18446744073709551616 1e21 -1e21 1e308 1e999 -1e999 1e-400
    NaN Infinity -NaN undefined 01 .5 0x10 1_000 'text' /**/1
    "" "0" "-1" "1e3" "1.5" "null" "NaN" "9999999999999999999" "guest" "stop" "private"
    "\u0000" "\ud800" "\udc00x" "a\ud800\ud800b" "\ufeff" "\u202e" "\q" "\u12"
    "__proto__" "constructor" "toString" "hasOwnProperty"
    [] {} [[]] [null] [{}] [1,2,3] [-1] [1e9] [""] ["a","b","c","d","e"]
    {"__proto__":{"a":1}} {"constructor":{"prototype":{"a":1}}} {"toString":1} {"length":1e9} {"0":1}
    {"toJSON":1} {"then":1} {"valueOf":null,"toString":null} {"type":"text"}
    "${MARKER}" "${MARKER}\ud800" ["${MARKER}"] {"${MARKER}":"${MARKER}"}`),
  '" "',
  '"\n"',
  '\u00a01',
  `"${'x'.repeat(300)}"`,
  `"${MARKER.repeat(400)}"`,
  `"${'🧵'.repeat(900)}"`,
  `"${String.raw`\u0000`.repeat(600)}"`,
  nested('[', ']', 500),
  nested('{"a":', '}', 500),
  `[${'0,'.repeat(2_000)}0]`,
];

export const oddNames: readonly string[] = [
  ...words('__proto__ constructor prototype toString hasOwnProperty __defineGetter__ 0 -1 length'),
  ...words(`type stream n functions metadata tussah jobId ${MARKER} a.b[0].${MARKER}`),
  '',
  `${MARKER} says`,
  '\ud800',
  'a\u0000b',
  '🧵',
  'x'.repeat(300),
];

export const oddKeys: readonly string[] = [
  ...words(`guest Bearer null tsk_${MARKER} ${MARKER} %00 ../../etc \u00ff\u00fe`),
  '',
  'a b',
  "' OR 1=1",
  'k'.repeat(256),
  'k'.repeat(5_000),
];

export const contentTypes: readonly string[] = [
  ...words(
    `text/plain application/json;;; application/${MARKER} application/jsonx */* application/vnd.api+json`,
  ),
  '',
  'application/json; charset=utf-16',
  'application/json, text/plain',
  'multipart/form-data; boundary=',
  'a/'.repeat(2_000),
];

/** Headers that change how a message is read, and values for them. */
export const framingHeaders = words(
  'content-encoding transfer-encoding te trailer expect upgrade connection',
);
export const framingValues = [...words(`gzip br ${MARKER} 100-continue chunked h2c`), '', 'close, upgrade'];
export const oddHeaderNames = [...words('__proto__ constructor x\u0000 x\u00e9 :'), '', 'x y', ' folded'];
export const oddHosts = [...words(`${MARKER} [ x:99999 ../`), '', 'a b', undefined];

export const conditionalHeaders = words(
  'range if-range if-match if-none-match if-modified-since if-unmodified-since accept-encoding',
);
export const conditions = [
  ...words(`bytes=0- bytes=9-1 bytes=- bytes=0-0,0-0,1-1 "x" * W/" ${MARKER} -1`),
  `bytes=${'0-1,'.repeat(500)}`,
  'Thu, 01 Jan 1970 00:00:00 GMT',
];

export const methods = [
  ...words('GET HEAD POST PUT PATCH DELETE OPTIONS TRACE PROPFIND PURGE LINK FOO get'),
  '',
];
export const versions = [...words(`HTTP/1.0 HTTP/2.0 HTTP/0.9 HTTP/1.9 http/1.1 ${MARKER}`), ''];

export const addresses: readonly string[] = [
  ...words(`
    / /contribute /v1 /v1/ /v1/models /v1/network /v1/receipts/ /openapi.json /healthz /readyz /metrics /worker
    /v1/chat/completions /v1/chat/completions/ /V1/MODELS /v1//models /v1/models? /v1/models#x * ? # /% /<script>
    /v1/models/tussah-tiny /v1/models/%74ussah-tiny /v1/models/__proto__ /v1/models/tussah-tiny%00 /v1/receipts/%zz
    /assets/index-abc.js /assets/ /assets /assets/%00 /index.html /index.html/ /./index.html /.env /.git/config
    /assets/..%2f..%2fdata%2fadmin-token /assets/%2e%2e/%2e%2e/data/admin-token /../data/admin-token
    /..%5cdata%5cadmin-token //data/admin-token /%c0%af /%ff%fe /a%0d%0aset-cookie:x /\u00e9
    http://other/v1/models http:// other:80
    /${MARKER} /v1/models/${MARKER} /v1/receipts/${MARKER} /v1/${MARKER} /assets/${MARKER}.js /v1/models?${MARKER}=1`),
  '',
  `/v1/receipts/rcp_${'0'.repeat(24)}`,
  `/v1/receipts/${'r'.repeat(200)}`,
  `/v1/models/${'m'.repeat(3_000)}`,
  `/${'d/'.repeat(2_000)}`,
  `/${'p'.repeat(15_000)}`,
];
