'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { Runtime } = require('resty_ffi/testing');

const { init } = require('./counter.js');


test('the third hit is one too many', async () => {
  const counter = await Runtime.load(init, '{"limit": 2}');

  assert.equal(String(await counter.call('hit', 'ada')), '1');
  assert.equal(String(await counter.call('hit', 'ada')), '2');
  await assert.rejects(counter.call('hit', 'ada'), { rc: 429, message: 'too many' });
  await counter.close();
});


test('who is forgotten begins anew', async () => {
  const counter = await Runtime.load(init, '{"limit": 1}');

  await counter.call('hit', 'ada');
  assert.equal(await counter.call('forget', 'ada'), null);
  assert.equal(String(await counter.call('hit', 'ada')), '1');
  await counter.close();
});
