'use strict';

// A call in flight, as its handler sees it. Its slot is the loader's number of
// it, until it is answered.

const { performance } = require('perf_hooks');

const ANSWERED = -1;


class Call {
  constructor(binding, slot, method) {
    this.method = method;
    this.requestId = undefined;
    this.traceparent = undefined;
    this._binding = binding;
    this._slot = slot;
    this._isAbandoned = false;
    this._controller = null;
    this._deadline = null;
  }

  get deadline() {
    this._deadline ??= performance.now() + this._timeLeft();
    return this._deadline;
  }

  // These two are functions of their own: a handler may take the call apart.
  get timeLeft() {
    return () => this._timeLeft();
  }

  get isAbandoned() {
    return () => this._isGivenUp();
  }

  _timeLeft() {
    return this._slot === ANSWERED ? 0 : this._binding.timeLeft(this._slot);
  }

  _isGivenUp() {
    if (!this._isAbandoned && this._slot !== ANSWERED && this._binding.isAbandoned(this._slot)) {
      this.abandon();
    }
    return this._isAbandoned;
  }

  get signal() {
    if (this._controller === null) {
      this._controller = new AbortController();
      if (this._isGivenUp()) {
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
