'use strict';

// What JavaScript prints goes to nginx's error.log, in whole lines.

const { AsyncLocalStorage } = require('async_hooks');
const { Writable } = require('stream');
const { StringDecoder } = require('string_decoder');

const binding = require('./binding.js');
const { format } = require('./error.js');

const ERR = 4;
const WARN = 5;
const NOTICE = 6;
const INFO = 7;
const DEBUG = 8;

const LEVELS = { debug: DEBUG, info: INFO, warn: WARN };

// A longer line is cut: it would be kept in memory until it ends.
const LINE_MAX = 32768;

// Costs all promises something once it is used: only calls that have a request
// id are run in it.
const calls = new AsyncLocalStorage();
let hasIds = false;

// Of the console's method that writes.
let level = null;


class Output extends Writable {
  constructor(usual) {
    super({ decodeStrings: true });
    this._usual = usual;
    this._decoder = new StringDecoder();
    this._line = '';
  }

  _write(chunk, encoding, done) {
    const text = this._line + this._decoder.write(chunk);
    const end = text.lastIndexOf('\n');

    this._line = text.slice(end + 1);
    if (end !== -1) {
      log(level ?? this._usual, text.slice(0, end));
    }
    if (this._line.length > LINE_MAX) {
      this.flush();
    }
    done();
  }

  flush() {
    if (this._line !== '') {
      log(this._usual, this._line);
      this._line = '';
    }
  }

  // Stays open: all code of the runtime writes to it.
  end(...chunk) {
    if (typeof chunk[0] === 'string' || ArrayBuffer.isView(chunk[0])) {
      this.write(...chunk);
    }
    return this;
  }

  destroy() {
    return this;
  }
}


function log(at, text, call = hasIds ? calls.getStore() : undefined) {
  if (binding?.log === undefined) {
    process.stderr.write(`${text}\n`);
  } else {
    binding.log(at, text, call?._slot);
  }
}


// Runs code whose output bears the id of the call's request.
function inCall(call, code) {
  hasIds = true;
  return calls.run(call, code);
}


// An error that a caller or nobody is told of.
function report(error, call = undefined) {
  log(ERR, format(error), call);
}


function wrapConsole() {
  for (const [name, its] of Object.entries(LEVELS)) {
    const write = console[name];
    console[name] = function leveled(...things) {
      const outer = level;
      level = its;
      try {
        return Reflect.apply(write, this, things);
      } finally {
        level = outer;
      }
    };
  }
}


// Once per runtime.
function install() {
  const streams = { stdout: new Output(NOTICE), stderr: new Output(ERR) };

  for (const [name, stream] of Object.entries(streams)) {
    Object.defineProperty(process, name, { configurable: true, enumerable: true, value: stream });
  }
  wrapConsole();

  process._rawDebug = (...things) => log(ERR, things.join(' '));
  process.removeAllListeners('warning');
  process.on('warning', (warning) => log(WARN, format(warning)));
}


module.exports = { inCall, install, report };
