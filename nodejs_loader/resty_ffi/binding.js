'use strict';

// The loader, where there is one: not in a plain node, where tests run.


function find() {
  try {
    return process._linkedBinding('resty_ffi');
  } catch {
    return undefined;
  }
}


module.exports = find();
