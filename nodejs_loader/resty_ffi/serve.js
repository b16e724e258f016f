'use strict';

// serve(): a handler as an entry function.

const { inspect } = require('util');

const binding = require('./binding.js');
const { isClass } = require('./handler.js');

const OPTIONS = ['cfg', 'concurrency', 'factory'];

// What an entry function is made of, for tests.
const PARTS = Symbol('resty_ffi.parts');


function check(handler, options) {
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  const { cfg, concurrency = 1, factory } = options;

  if (unknown !== undefined) {
    throw new TypeError(`no option '${unknown}': there are ${OPTIONS.join(', ')}`);
  }
  if (cfg !== undefined && typeof cfg !== 'function') {
    throw new TypeError(`cfg must be a function, not ${inspect(cfg)}`);
  }
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new TypeError(`concurrency must be a positive integer, not ${inspect(concurrency)}`);
  }
  if (factory && (typeof handler !== 'function' || isClass(handler))) {
    throw new TypeError('factory: true needs a function that makes the handler');
  }
}


function serve(handler, options = {}) {
  check(handler, options);

  async function entry(cfg, tq) {
    if (binding?.tq === undefined) {
      throw new Error('only nginx calls what serve() returns: see resty_ffi/testing');
    }
    await require('./server.js').start(binding, handler, options, cfg, tq);
    return 0;
  }

  return Object.defineProperty(entry, PARTS, { value: { handler, options } });
}


module.exports = { PARTS, serve };
