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

// Of the runtime.
const streams = [];


class Output extends Writable {
  constructor(usual) {
    // It is never closed: who waits for its end must not wait for that.
    super({ decodeStrings: true, emitClose: false });
    this._usual = usual;
    this._decoder = new StringDecoder();
    this._line = '';
    this._isLast = false;
  }

  _write(chunk, encoding, done) {
    const text = this._line + this._decoder.write(chunk);
    const end = text.lastIndexOf('\n');

    this._line = text.slice(end + 1);
    if (end !== -1) {
      log(level ?? this._usual, text.slice(0, end));
    }
    if (this._line.length > LINE_MAX || this._isLast) {
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

  // From now on nothing waits for the end of its line.
  finish() {
    this._line += this._decoder.end();
    this._isLast = true;
    this.flush();
  }

  // Stays open, as all code of the runtime writes to it; who waits for its end
  // is told.
  end(...args) {
    const done = typeof args.at(-1) === 'function' ? args.pop() : null;

    if (args[0] !== undefined && args[0] !== null) {
      this.write(...args);
    }
    this.write('', () => {
      this.flush();
      done?.();
      this.emit('finish');
    });
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


// What is not a whole line yet, before the runtime ends.
function flush() {
  for (const stream of streams) {
    stream.finish();
  }
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
  for (const [name, usual] of [['stdout', NOTICE], ['stderr', ERR]]) {
    const value = new Output(usual);
    Object.defineProperty(process, name, { configurable: true, enumerable: true, value });
    streams.push(value);
  }
  process.on('exit', flush);
  wrapConsole();

  process._rawDebug = (...things) => log(ERR, things.join(' '));
  process.removeAllListeners('warning');
  process.on('warning', (warning) => log(WARN, format(warning)));
}


module.exports = { flush, inCall, install, report };
