'use strict';

// Errors that end a call, and what their callers are told.

const path = require('path');
const { inspect, types } = require('util');

const binding = require('./binding.js');

const OURS = `${__dirname}${path.sep}`;

// The rc of a call whose handler threw something else.
const FAILED = 1;

const UNKNOWN = 'an error that cannot be described';


class CallError extends Error {
  #rc;
  #response;

  constructor(rc, message = null, options = undefined) {
    if (!Number.isInteger(rc) || rc === 0 || rc !== (rc | 0)) {
      throw new TypeError(`rc must be an integer other than 0, not ${inspect(rc)}`);
    }
    if (typeof message !== 'string' && message !== null && !ArrayBuffer.isView(message)) {
      throw new TypeError(`message must be a string, bytes or null, not ${inspect(message)}`);
    }
    super(typeof message === 'string' ? message : '', options);
    this.#rc = rc;
    this.#response = message;
  }

  get rc() {
    return this.#rc;
  }

  // What its caller gets, the message as it is by now; undefined for another
  // error, whatever it looks like.
  static responseOf(error) {
    if (typeof error !== 'object' || error === null || !(#rc in error)) {
      return undefined;
    }
    const { message } = error;
    const isText = typeof error.#response === 'string' && typeof message === 'string';
    return { rc: error.#rc, response: isText ? message : error.#response };
  }
}

Object.defineProperty(CallError.prototype, 'name', { value: 'Error' });


// A value, in one line.
function show(value) {
  try {
    return inspect(value, { depth: 0, breakLength: Infinity });
  } catch {
    return 'something';
  }
}


// "TypeError: message", in one line.
function describe(error) {
  try {
    if (!types.isNativeError(error) && !(error instanceof Error)) {
      return `thrown: ${inspect(error, { breakLength: Infinity })}`;
    }
    const [line] = String(error).split('\n');
    return line + place(error);
  } catch {
    return UNKNOWN;
  }
}


// Of a file that does not compile. Node.js keeps it to itself.
function place(error) {
  const where = error instanceof SyntaxError ? binding?.where?.(error) : undefined;
  const [, file, line] = /^(?:\/|file:).*?([^/]*):(\d+)$/.exec(where) ?? [];

  return file ? ` (${file}, line ${line})` : '';
}


// With its stack, but for our own frames.
function format(error) {
  try {
    const lines = inspect(error).split('\n');
    lines[0] += place(error);
    return lines.filter((line) => !/^\s+at /.test(line) || !line.includes(OURS)).join('\n');
  } catch {
    return UNKNOWN;
  }
}


module.exports = { CallError, FAILED, UNKNOWN, describe, format, show };
