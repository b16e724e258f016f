'use strict';

// What user code requires: handlers, and what modules for lua-resty-ffi use.

const { CallError } = require('./error.js');
const field = require('./field.js');
const { serve } = require('./serve.js');


module.exports = { Error: CallError, serve, ...field };
