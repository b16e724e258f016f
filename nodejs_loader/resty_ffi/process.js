'use strict';

// What a process's global state is to a runtime, which shares the process.

const fs = require('fs');
const path = require('path');

const binding = require('./binding.js');
const { describe } = require('./error.js');
const output = require('./output.js');

const PATH = '/usr/local/bin:/usr/bin:/bin';


// A copy, as worker threads have: nginx's own is not for writing. Values are
// strings, as ever.
function copyEnvironment() {
  process.env = new Proxy({ ...process.env }, {
    defineProperty(env, name, property) {
      const text = 'value' in property ? { value: `${property.value}` } : {};
      return Reflect.defineProperty(env, name, { ...property, ...text });
    },
  });
}


// The program is nginx: child_process.fork() needs a node.
function findNode() {
  const folders = (process.env.PATH ?? PATH).split(path.delimiter);
  const files = folders.map((folder) => path.join(folder, 'node'));

  process.execPath = files.find((file) => fs.existsSync(file)) ?? 'node';
}


// As in worker threads: who listens to a signal does not take it from nginx.
function keepSignals() {
  for (const event of ['newListener', 'removeListener']) {
    process.removeAllListeners(event);
  }
}


// What nothing else catches ends the runtime.
function watchErrors() {
  process.on('uncaughtException', (error, origin) => {
    if (process.listenerCount('uncaughtException') === 1) {
      output.report(error);
      output.flush();
      binding.die(`${describe(error)} (${origin})`);
    }
  });
}


function install() {
  copyEnvironment();
  findNode();
  keepSignals();
}


module.exports = { install, watchErrors };
