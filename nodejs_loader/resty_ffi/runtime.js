'use strict';

// The first file of a runtime: loads the module that its configuration names.

const { isUtf8 } = require('buffer');
const { inspect } = require('util');

const binding = require('./binding.js');
const { describe } = require('./error.js');
const modules = require('./modules.js');
const output = require('./output.js');
const packages = require('./packages.js');
const processState = require('./process.js');

const NEEDED = '<module>,<function> is needed';


// <module>[?],<function>[,<text>]
function parse(cfg) {
  if (cfg === undefined) {
    throw new TypeError(`no configuration: ${NEEDED}`);
  }
  if (!isUtf8(cfg)) {
    throw new TypeError('the configuration is no UTF-8: bytes need an encoding, base64 say');
  }

  const [, module, name, text] = /^([^,]*?)\??(?:,([^,]*)(?:,(.*))?)?$/s.exec(cfg.toString());
  if (!module || module.endsWith('/')) {
    throw new TypeError(`no module in "${shown(cfg.toString())}": ${NEEDED}`);
  }
  if (!name) {
    throw new TypeError(`no function in "${shown(cfg.toString())}": ${NEEDED}`);
  }
  return { module, name, text };
}


// Without what may be secret: the function's part, and JSON in front of it.
function shown(cfg) {
  const [text] = /^(?:[{[]|[^,]{0,200}(?:,[^,]{0,200})?)/.exec(cfg);
  return text.length < cfg.length ? `${text}...` : text;
}


async function load() {
  const { module, name, text } = parse(binding.cfg);
  const entry = (await modules.load(module))[name];

  if (typeof entry !== 'function') {
    throw new TypeError(`${module} exports no function '${name}'`);
  }

  const result = await entry(text, binding.tq);
  if (result !== undefined && result !== null && Number(result) !== 0) {
    throw new Error(`${module}.${name} returned ${inspect(result)}`);
  }
}


function fail(error) {
  output.report(error);
  output.flush();
  binding.loaded(describe(error));
}


// First: options of Node.js may keep the others from working.
processState.watchErrors();
output.install();
processState.install();
packages.install();
load().then(() => binding.loaded(), fail);
