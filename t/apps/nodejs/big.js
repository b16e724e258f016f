'use strict';

// Responds with as many bytes as the request says, each its offset & 0xff.

const { serve } = require('resty_ffi');

const PATTERN = Buffer.from(Array.from({ length: 256 }, (_, i) => i));


exports.init = serve((request) => Buffer.alloc(Number(request), PATTERN));
