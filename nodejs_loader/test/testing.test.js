'use strict';

// Handlers under test, without nginx: resty_ffi/testing.

const assert = require('node:assert/strict');
const test = require('node:test');

const { serve, Error: CallError } = require('resty_ffi');
const { Runtime } = require('resty_ffi/testing');


async function answer(handler, request, options) {
  const runtime = await Runtime.load(serve(handler), '', options);
  try {
    return await runtime.call('any', request);
  } finally {
    await runtime.close();
  }
}


test('what is answered is bytes or null', async () => {
  assert.deepEqual(await answer((request) => request, 'ü'), Buffer.from('ü'));
  assert.deepEqual(await answer(() => new Uint16Array([0x4142])), Buffer.from('BA'));
  assert.deepEqual(await answer(() => ''), Buffer.alloc(0));
  assert.equal(await answer(async () => undefined), null);
  assert.equal(await answer((request) => (request === null ? null : 'not null')), null);
});


test('what a handler throws is what Lua would get', async () => {
  const fail = (error) => answer(() => { throw error; });

  await assert.rejects(fail(new CallError(5, 'five')), { rc: 5, message: 'five' });
  await assert.rejects(fail(new RangeError('no')), { rc: 1, message: 'RangeError: no' });
  await assert.rejects(answer(() => 5), { rc: 1, message: /^TypeError: handler returned 5/ });
});


test('methods are found by name', async () => {
  const runtime = await Runtime.load(serve({ get: (request) => request, close() {} }));

  assert.equal(String(await runtime.call('get', 'a')), 'a');
  await assert.rejects(runtime.call('close'), { rc: 1, message: "no method 'close'" });
  await runtime.close();
});


test('a call has what it has in nginx', async () => {
  const seen = await answer((request, call) => JSON.stringify([
    call.method, call.requestId, call.traceparent, call.timeLeft() > 900, call.isAbandoned(),
    call.signal.aborted,
  ]), null, { timeout: 1000, requestId: 'r1', traceparent: 't1' });

  assert.deepEqual(JSON.parse(seen), ['any', 'r1', 't1', true, false, false]);
});


test('a caller that gives up aborts the signal', async () => {
  let aborted;
  const isAborted = new Promise((resolve) => { aborted = resolve; });
  const runtime = await Runtime.load(serve((request, { signal }) => {
    signal.addEventListener('abort', aborted);
    return new Promise(() => {});
  }));

  await assert.rejects(runtime.call('wait', null, { timeout: 10 }), { name: 'TimeoutError' });
  await isAborted;
  await runtime.close();
});


test('a factory gets the configuration', async () => {
  const init = serve(async ({ n }) => () => String(n), { factory: true, cfg: JSON.parse });
  const runtime = await Runtime.load(init, '{"n": 7}');

  assert.equal(String(await runtime.call('any')), '7');
  await runtime.close();
  await assert.rejects(Runtime.load(init, '{'), SyntaxError);
});


test('close waits for what runs, then for the handler', async () => {
  const order = [];
  const runtime = await Runtime.load(serve({
    async wait() {
      await new Promise(setImmediate);
      order.push('answered');
    },
    async close() {
      await new Promise(setImmediate);
      order.push('closed');
    },
  }));

  const call = runtime.call('wait');
  await runtime.close();
  await call;
  assert.deepEqual(order, ['answered', 'closed']);
});


test('only nginx calls an entry function', async () => {
  await assert.rejects(serve(() => null)('', 1n), /only nginx calls what serve\(\) returns/);
  await assert.rejects(Runtime.load(() => null), /only what serve\(\) returned can be tested/);
});


test('a promise that cannot be waited for fails its call', async () => {
  const fail = (response) => answer(() => response);

  await assert.rejects(fail(new Proxy(Promise.resolve(), {})), { rc: 1, message: /^TypeError: / });
  await assert.rejects(fail({ then() { throw new Error('no'); } }), { message: 'Error: no' });
  assert.equal(String(await fail({ then(done) { done('a'); done('b'); } })), 'a');
});
