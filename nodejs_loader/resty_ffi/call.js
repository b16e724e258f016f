'use strict';

// A call in flight, as its handler sees it. Its slot is the loader's number of
// it, until it is answered.

const { performance } = require('perf_hooks');

const ANSWERED = -1;


class Call {
  constructor(binding, slot, method) {
    this.method = method;
    this._binding = binding;
    this._slot = slot;
    this._isAbandoned = false;
    this._controller = null;
  }

  get requestId() {
    return this._slot === ANSWERED ? undefined : this._binding.requestId(this._slot);
  }

  get deadline() {
    return performance.now() + this.timeLeft();
  }

  timeLeft() {
    return this._slot === ANSWERED ? 0 : this._binding.timeLeft(this._slot);
  }

  isAbandoned() {
    if (!this._isAbandoned && this._slot !== ANSWERED && this._binding.isAbandoned(this._slot)) {
      this.abandon();
    }
    return this._isAbandoned;
  }

  get signal() {
    if (this._controller === null) {
      this._controller = new AbortController();
      if (this.isAbandoned()) {
        this._controller.abort();
      }
    }
    return this._controller.signal;
  }

  // Nobody waits for it any more.
  abandon() {
    this._isAbandoned = true;
    this._controller?.abort();
  }

  // Answered once; false when the response is of a type that cannot be sent.
  answer(rc, response) {
    if (this._slot !== ANSWERED) {
      if (this._binding.respond(this._slot, rc, response) === false) {
        return false;
      }
      this._slot = ANSWERED;
    }
    return true;
  }
}


module.exports = { Call };
