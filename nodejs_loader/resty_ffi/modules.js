'use strict';

// The module that a configuration names.

const fs = require('fs');
const Module = require('module');
const path = require('path');
const { pathToFileURL } = require('url');

const packages = require('./packages.js');

// Those that require() does not try by itself.
const EXTENSIONS = ['', '.cjs', '.mjs'];


// As require() would from a file in the worker's working folder; one with a
// folder in front may be below that folder itself.
function resolve(name) {
  if (Module.isBuiltin(name)) {
    throw new Error(`'${name}' is Node.js's own module: give a path to yours`);
  }

  const require = Module.createRequire(path.join(process.cwd(), 'index.js'));
  const names = name.includes('/') && !path.isAbsolute(name) ? [name, `./${name}`] : [name];
  let first;

  for (const candidate of names.flatMap((one) => EXTENSIONS.map((extension) => one + extension))) {
    try {
      return require.resolve(candidate);
    } catch (error) {
      first ??= error;
      if (error.code !== 'MODULE_NOT_FOUND') {
        throw error;
      }
    }
  }
  throw first;
}


// As Node.js decides it: by extension, else by the nearest package.json.
function isEsm(file) {
  const extension = path.extname(file);
  if (extension !== '.js') {
    return extension === '.mjs';
  }

  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'))).type === 'module';
    } catch (error) {
      if (error.code !== 'ENOENT') {
        throw error;
      }
      if (folder === path.dirname(folder)) {
        return false;
      }
    }
  }
}


// Its exports.
async function load(name) {
  const file = resolve(name);
  process.argv[1] = file;

  if (isEsm(file)) {
    packages.installForImport(file);
    return import(pathToFileURL(file).href);
  }
  return Module.createRequire(file)(file);
}


module.exports = { load };
