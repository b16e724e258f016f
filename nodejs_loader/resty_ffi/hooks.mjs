// Resolves import 'resty_ffi' without a node_modules folder that has it.

import { createRequire } from 'module';
import { pathToFileURL } from 'url';

const require = createRequire(import.meta.url);
const FILES = {
  resty_ffi: new URL('index.mjs', import.meta.url).href,
  'resty_ffi/testing': pathToFileURL(require.resolve('./testing.js')).href,
};


export async function resolve(specifier, context, nextResolve) {
  const url = Object.hasOwn(FILES, specifier) ? FILES[specifier] : undefined;

  return url === undefined ? nextResolve(specifier, context) : { url, shortCircuit: true };
}
