/** Headers of the site: those that its server sends, its service worker keeps and `npm run verify -- site` expects. */

const policyOf = (policy: Readonly<Record<string, string>>): string =>
  Object.entries(policy)
    .map(([name, value]) => `${name} ${value}`)
    .join('; ');

const pagePolicy = policyOf({
  'default-src': "'none'",
  'script-src': "'self' 'wasm-unsafe-eval'",
  'style-src': "'self'",
  'img-src': "'self' data:",
  'font-src': "'self'",
  'connect-src': "'self'",
  'worker-src': "'self'",
  'manifest-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
});

/** Where the catalogue's models and their libraries are kept; reached only after a person chose one. */
const modelHosts =
  'https://huggingface.co https://*.huggingface.co https://*.hf.co https://raw.githubusercontent.com';

/** wllama starts a worker of its own from a blob. */
const enginePolicy = policyOf({
  'default-src': "'none'",
  'script-src': "'self' 'wasm-unsafe-eval' blob:",
  'worker-src': "'self' blob:",
  'connect-src': `'self' blob: data: ${modelHosts}`,
});

const isEngineScript = (path: string): boolean => /\/assets\/[^/]*worker[^/]*\.js$/.test(path);

/** The headers that keep a page or script of the site within bounds, by its path: `/`, `/assets/index-abc.js`. */
export const siteHeaders = (path: string): Readonly<Record<string, string>> => ({
  'content-security-policy': isEngineScript(path) ? enginePolicy : pagePolicy,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
});
