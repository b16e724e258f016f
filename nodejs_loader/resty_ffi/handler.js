'use strict';

// Handlers: what serve() was given, made ready to answer calls. Nothing here
// needs nginx.

const { inspect } = require('util');

const { CallError } = require('./error.js');

const HIDDEN = new Set(['constructor', 'close']);


function isClass(value) {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}


// The handler for that configuration, of its class or factory if that is what
// was given.
async function make(handler, options, text) {
  const cfg = async () => (options.cfg ? options.cfg(text) : text);

  if (isClass(handler)) {
    const Handler = handler;
    return new Handler(await cfg());
  }
  return options.factory ? await handler(await cfg()) : handler;
}


// By name, those that it inherits included. Getters are not evaluated.
function methodsOf(handler) {
  const methods = new Map();

  for (let from = handler; from && from !== Object.prototype; from = Object.getPrototypeOf(from)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
      const isMethod = typeof value === 'function' && !isClass(value);
      if (isMethod && !name.startsWith('_') && !HIDDEN.has(name) && !methods.has(name)) {
        methods.set(name, value);
      }
    }
  }
  return methods;
}


// Finds what answers a call: the handler, when it is a function, else its
// method of that name.
class Dispatcher {
  constructor(handler) {
    this._handler = handler;
    this._function = typeof handler === 'function' && !isClass(handler) ? handler : null;

    if (this._function === null) {
      const isObject = typeof handler === 'object' && handler !== null;
      this._methods = isObject ? methodsOf(handler) : new Map();
      if (this._methods.size === 0) {
        throw new TypeError('handler must be a function, a class or an object with methods, ' +
          `not ${inspect(handler, { depth: 0 })}`);
      }
    }
  }

  call(request, call) {
    const { _function: handle } = this;
    if (handle !== null) {
      return handle(request, call);
    }

    const method = this._methods.get(call.method);
    if (method === undefined) {
      throw new CallError(1, `no method '${call.method}'`);
    }
    return method.call(this._handler, request, call);
  }

  // May have to be awaited.
  close() {
    return this._handler.close?.();
  }
}


module.exports = { Dispatcher, isClass, make };
