'use strict';

// Waits at the gate and responds with what the test answers there.

const net = require('net');

const { serve } = require('resty_ffi');


async function hold(request) {
  const gate = net.connect({ path: 'gate', allowHalfOpen: true });
  const answer = [];

  gate.write(`${request}\n`);
  for await (const chunk of gate) {
    answer.push(chunk);
  }
  return Buffer.concat(answer);
}


exports.init = serve(hold);
