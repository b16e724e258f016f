'use strict';

// Handlers under test, called as Lua would, without nginx.

const { performance } = require('perf_hooks');

const { CallError } = require('./error.js');
const { Dispatcher, make } = require('./handler.js');
const { PARTS } = require('./serve.js');
const { Server } = require('./server.js');

const BATCH = 64;
const FIELDS = 4;
const NIL = -1;

const TIMEOUT = 60_000;


// What is sent is what the response was then.
function copy(value) {
  return Buffer.from(typeof value === 'string'
    ? value
    : Buffer.from(value.buffer, value.byteOffset, value.byteLength));
}


// What the loader is to a Server: a queue in memory.
class Queue {
  constructor() {
    this.batch = BATCH;
    this.isFinished = new Promise((resolve) => {
      this.finished = resolve;
    });
    this._waiting = [];
    this._tasks = new Map();
    this._slots = 0;
    this._hasEnded = false;
  }

  watch(wake) {
    this._wake = wake;
  }

  push(task) {
    this._waiting.push(task);
    setImmediate(this._wake);
  }

  end() {
    this._hasEnded = true;
    setImmediate(this._wake);
  }

  abandon(task) {
    task.isAbandoned = true;
    setImmediate(this._wake, [task.slot]);
  }

  poll(polled, pool, used, methods, apart, most) {
    const tasks = this._waiting.splice(0, most);

    polled[BATCH * FIELDS] = used;
    for (const [i, task] of tasks.entries()) {
      task.slot = this._slots++;
      this._tasks.set(task.slot, task);
      polled.set([task.slot, NIL, NIL, (task.requestId ?? task.traceparent) === undefined ? 0 : 1],
        i * FIELDS);
      apart[i] = task.request;
      methods[i] = task.method;
    }
    return tasks.length === 0 && this._hasEnded ? -1 : tasks.length;
  }

  respond(slot, rc, response) {
    if (typeof response !== 'string' && response !== null && response !== undefined
        && !ArrayBuffer.isView(response)) {
      return false;
    }

    const task = this._tasks.get(slot);
    this._tasks.delete(slot);
    task.answer(rc, response === null || response === undefined ? null : copy(response));
    return true;
  }

  timeLeft(slot) {
    return Math.max(0, this._tasks.get(slot).deadline - performance.now());
  }

  requestId(slot) {
    return this._tasks.get(slot).requestId;
  }

  traceparent(slot) {
    return this._tasks.get(slot).traceparent;
  }

  isAbandoned(slot) {
    return this._tasks.get(slot).isAbandoned;
  }
}


class Runtime {
  // entry: what serve() returned. cfg: the configuration's text.
  static async load(entry, cfg = '', { timeout = TIMEOUT, requestId, traceparent } = {}) {
    const parts = entry[PARTS];
    if (parts === undefined) {
      throw new TypeError('only what serve() returned can be tested');
    }

    const { handler, options } = parts;
    const dispatcher = new Dispatcher(await make(handler, options, cfg));
    const runtime = new Runtime();

    runtime._queue = new Queue();
    runtime._options = { timeout, requestId, traceparent };
    new Server(runtime._queue, dispatcher, options.concurrency).start();
    return runtime;
  }

  // A call of a method, as rt:method(request) in Lua: a Buffer, or null. Rejects
  // with Error, or with TimeoutError, which aborts the call's signal.
  call(method, request = null, options = {}) {
    const { timeout, requestId, traceparent } = { ...this._options, ...options };

    return new Promise((resolve, reject) => {
      const task = {
        method,
        request: request === null ? null : copy(request),
        requestId,
        traceparent,
        deadline: performance.now() + timeout,
        isAbandoned: false,
        answer(rc, response) {
          clearTimeout(task.timer);
          if (rc === 0) {
            resolve(response);
          } else {
            reject(new CallError(rc, response === null ? null : response.toString()));
          }
        },
      };
      task.timer = setTimeout(() => {
        this._queue.abandon(task);
        reject(new DOMException(`${method} took longer than ${timeout} ms`, 'TimeoutError'));
      }, timeout);
      this._queue.push(task);
    });
  }

  // Ends it: resolves when all calls are answered and the handler is closed.
  close() {
    this._queue.end();
    return this._queue.isFinished;
  }
}


module.exports = { Runtime };
