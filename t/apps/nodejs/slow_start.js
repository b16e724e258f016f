'use strict';

// Starts when the test lets it; an answer at the gate is why it fails.

const net = require('net');

const { serve } = require('resty_ffi');


async function make() {
  const gate = net.connect({ path: 'gate', allowHalfOpen: true });
  let why = '';

  gate.write('slow_start\n');
  for await (const chunk of gate) {
    why += chunk;
  }
  if (why) {
    throw new Error(why);
  }
  return () => 'ready';
}


exports.init = serve(make, { factory: true });
