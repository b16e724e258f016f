'use strict';

// How often a name was seen, and an error when that is too often.

const { serve, Error: CallError } = require('resty_ffi');


class Counter {
  constructor({ limit }) {
    this._limit = limit;
    this._seen = new Map();
  }

  hit(request) {
    const name = request.toString();
    const number = (this._seen.get(name) ?? 0) + 1;

    this._seen.set(name, number);
    if (number > this._limit) {
      throw new CallError(429, 'too many');
    }
    return String(number);
  }

  forget(request) {
    this._seen.delete(request.toString());
  }
}


exports.init = serve(Counter, { cfg: JSON.parse });
