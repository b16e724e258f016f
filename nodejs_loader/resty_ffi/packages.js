'use strict';

// Where code finds this package without having installed it.

const fs = require('fs');
const Module = require('module');
const path = require('path');
const { pathToFileURL } = require('url');
const workerThreads = require('worker_threads');

const { SHARE_ENV } = workerThreads;

const binding = require('./binding.js');

const NAME = /^resty_ffi(\/|$)/;


// After node_modules folders and NODE_PATH.
function extendLookup() {
  const lookup = Module._resolveLookupPaths;

  Module._resolveLookupPaths = function lookupPaths(request, parent) {
    const paths = Reflect.apply(lookup, this, [request, parent]);
    return NAME.test(request) ? [...paths ?? [], binding.folder] : paths;
  };
}


// Threads find it, too, and get a copy of the environment as it is here: the one
// that can be shared is nginx's own.
function extendWorkers() {
  const setup = path.join(__dirname, 'worker.js');

  class Worker extends workerThreads.Worker {
    constructor(file, options) {
      const env = options?.env ?? SHARE_ENV;

      super(file, {
        ...options,
        env: env === SHARE_ENV ? { ...process.env } : env,
        execArgv: [...options?.execArgv ?? process.execArgv, '--require', setup],
      });
    }
  }
  workerThreads.Worker = Worker;
  Module.syncBuiltinESMExports();
}


// For a module that may import it: import looks at node_modules folders only.
// Hooks cost a thread, and so are for those that have not installed it.
function installForImport(file) {
  const isInstalled = Module._nodeModulePaths(path.dirname(file))
    .some((folder) => fs.existsSync(path.join(folder, 'resty_ffi')));

  if (!isInstalled) {
    Module.register?.(pathToFileURL(path.join(__dirname, 'hooks.mjs')).href);
  }
}


// Once per thread.
function install() {
  extendLookup();
  extendWorkers();
}


module.exports = { install, installForImport };
