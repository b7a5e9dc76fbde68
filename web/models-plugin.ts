/** Serves the bundled models at `/models/` in development and tests, and copies them into the built site. */
import { cpSync, createReadStream, existsSync, statSync } from 'node:fs';
import { join, normalize, resolve } from 'node:path';
import type { Plugin } from 'vite';

const bundled = ['tiny'];
const shipped = /\.(gguf|json|bin|wasm)$/;
const unshipped = /[\\/](train|compile)([\\/]|$)/;

export function modelsPlugin(folder: string): Plugin {
  let outDir = '';
  return {
    name: 'tussah-models',
    configResolved(config) {
      outDir = resolve(config.root, config.build.outDir);
    },
    configureServer(server) {
      server.middlewares.use('/models', (request, response, next) => {
        const [address = '/', query = ''] = (request.url ?? '/').split('?');
        // Source code that imports a model's JSON wants Vite's module of it.
        if (new URLSearchParams(query).has('import')) return next();
        const path = decodeURIComponent(address);
        const file = join(folder, normalize(path));
        const model = normalize(path).split(/[\\/]/)[1] ?? '';
        const allowed = file.startsWith(folder) && bundled.includes(model) && shipped.test(file);
        if (!allowed || !existsSync(file) || !statSync(file).isFile()) return next();
        response.setHeader('content-length', statSync(file).size);
        response.setHeader(
          'content-type',
          file.endsWith('.wasm') ? 'application/wasm' : 'application/octet-stream',
        );
        createReadStream(file).pipe(response);
      });
    },
    closeBundle() {
      if (outDir === '' || !existsSync(outDir)) return;
      for (const model of bundled)
        cpSync(join(folder, model), join(outDir, 'models', model), {
          recursive: true,
          filter: (path) => !unshipped.test(path) && (statSync(path).isDirectory() || shipped.test(path)),
        });
    },
  };
}
