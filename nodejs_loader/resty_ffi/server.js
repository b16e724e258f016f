'use strict';

// What answers the calls of a runtime.

const { clearInterval, setImmediate, setInterval } = require('timers');

const { Call } = require('./call.js');
const { CallError, FAILED, UNKNOWN, describe, show } = require('./error.js');
const { Dispatcher, make } = require('./handler.js');
const output = require('./output.js');

// Batches that are taken before the event loop does something else.
const TURNS = 8;

// Integers that the loader says of a polled call.
const SLOT = 0;
const OFFSET = 1;
const LENGTH = 2;
const HAS_ID = 3;
const FIELDS = 4;

// Small requests are parts of one Buffer, which is replaced when there is less
// than this left of it.
const POOL = 32768;
const POOL_LEAST = 2048;

// Milliseconds between looks for callers that have gone, when no one tells.
const LOOK = 100;

// As they are before code replaces them.
const resolve = Promise.resolve.bind(Promise);
const { then } = Promise.prototype;

let isServed = false;


// What the caller gets of what a handler threw.
function failureOf(error, call) {
  const own = CallError.responseOf(error);

  if (own !== undefined) {
    return own;
  }
  if (call.isAbandoned() && error?.name === 'AbortError') {
    return { rc: FAILED, response: 'aborted' };
  }
  output.report(error, call);
  return { rc: FAILED, response: describe(error) };
}


class Server {
  constructor(binding, dispatcher, concurrency = Infinity) {
    this._binding = binding;
    this._dispatcher = dispatcher;
    this._concurrency = concurrency;
    this._polled = new Int32Array(binding.batch * FIELDS + 1);
    this._methods = [];
    this._apart = [];
    this._pool = Buffer.allocUnsafeSlow(POOL);
    this._used = 0;
    this._running = new Map();
    this._abandoned = new Set();
    this._hasEnded = false;
    this._drain = this._drain.bind(this);
  }

  // Answers calls from now on.
  start() {
    const error = this._binding.watch((abandoned) => this._wake(abandoned));

    if (error !== undefined) {
      throw new Error(`cannot wait for calls: ${error}`);
    }
    this._drain();
  }

  _wake(abandoned) {
    for (const slot of abandoned ?? []) {
      const call = this._running.get(slot);

      if (call !== undefined) {
        this._giveUp(slot, call);
      }
    }
    this._drain();
  }

  // One that may never end must not keep its place from others.
  _giveUp(slot, call) {
    this._running.delete(slot);
    this._abandoned.add(call);
    call.abandon();
  }

  _drain() {
    for (let turn = 0; turn < TURNS; turn++) {
      const room = this._concurrency - this._running.size;
      if (this._hasEnded || room <= 0) {
        return;
      }

      const count = this._poll(Math.min(room, this._binding.batch));
      if (count === 0) {
        return;
      }
      if (count === -1) {
        this._end();
        return;
      }
      for (let i = 0; i < count; i++) {
        this._begin(i * FIELDS, i);
      }
    }
    setImmediate(this._drain);
  }

  _poll(most) {
    if (POOL - this._used < POOL_LEAST) {
      this._pool = Buffer.allocUnsafeSlow(POOL);
      this._used = 0;
    }

    const polled = this._polled;
    const { _pool: pool, _methods: methods, _apart: apart } = this;
    const count = this._binding.poll(polled, pool, this._used, methods, apart, most);
    this._used = polled[polled.length - 1];
    return count;
  }

  _begin(at, i) {
    const slot = this._polled[at + SLOT];
    const call = new Call(this._binding, slot, this._methods[i]);

    try {
      const request = this._request(at, i);
      const response = this._polled[at + HAS_ID] === 0
        ? this._dispatcher.call(request, call)
        : this._identify(slot, call, request);

      if (typeof response?.then === 'function') {
        this._wait(slot, call, response);
      } else {
        this._answer(call, response);
      }
    } catch (error) {
      this._fail(call, error);
    }
  }

  _identify(slot, call, request) {
    call.requestId = this._binding.requestId(slot);
    call.traceparent = this._binding.traceparent(slot);
    return output.inCall(call, () => this._dispatcher.call(request, call));
  }

  _request(at, i) {
    const offset = this._polled[at + OFFSET];
    const length = this._polled[at + LENGTH];

    if (offset >= 0) {
      return this._pool.subarray(offset, offset + length);
    }

    const request = this._apart[i] ?? null;
    this._apart[i] = null;
    if (request === null && length >= 0) {
      throw new RangeError('no memory for the request');
    }
    return request;
  }

  _wait(slot, call, response) {
    const answered = (value) => {
      this._answer(call, value);
      this._settle(slot, call);
    };
    const failed = (error) => {
      this._fail(call, error);
      this._settle(slot, call);
    };

    // Of both only one is called, once: code that says otherwise is not asked.
    Reflect.apply(then, resolve(response), [answered, failed]);
    this._running.set(slot, call);
  }

  // A call that ran has ended.
  _settle(slot, call) {
    if (!this._abandoned.delete(call)) {
      this._running.delete(slot);
    }
    if (this._hasEnded) {
      this._finish();
    } else if (this._running.size === this._concurrency - 1) {
      setImmediate(this._drain);
    }
  }

  _answer(call, response) {
    if (!call.answer(0, response)) {
      this._fail(call, new TypeError(`handler returned ${show(response)}, ` +
        'not a string, a Buffer, a Uint8Array, null or undefined'));
    }
  }

  _fail(call, error) {
    try {
      const { rc, response } = failureOf(error, call);
      call.answer(rc, response);
    } catch {
      call.answer(FAILED, UNKNOWN);
    }
  }

  // The queue has ended. A call that its caller has given up, and that never
  // ends, must not keep the runtime: no one tells of those any more.
  _end() {
    this._hasEnded = true;
    this._looking = setInterval(() => {
      for (const [slot, call] of this._running) {
        if (call.isAbandoned()) {
          this._giveUp(slot, call);
        }
      }
      for (const call of this._abandoned) {
        call.answer(FAILED, 'abandoned');
      }
      this._abandoned.clear();
      this._finish();
    }, LOOK);
    this._finish();
  }

  async _finish() {
    if (this._running.size > 0 || this._abandoned.size > 0 || this._looking === null) {
      return;
    }

    clearInterval(this._looking);
    this._looking = null;
    try {
      await this._dispatcher.close();
    } catch (error) {
      output.report(error);
    }
    output.flush();
    this._binding.finished();
  }
}


// Serves the runtime's queue with the handler. Throws what its factory throws.
async function start(binding, handler, options, cfg, tq) {
  if (tq !== binding.tq) {
    throw new TypeError(`${show(tq)} is not the task queue of this runtime`);
  }
  if (isServed) {
    throw new Error('a runtime is served by one handler');
  }
  isServed = true;

  const dispatcher = new Dispatcher(await make(handler, options, cfg ?? ''));
  new Server(binding, dispatcher, options.concurrency).start();
}


module.exports = { Server, start };
