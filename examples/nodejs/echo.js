'use strict';

// Answers with what it was sent.

const { serve } = require('resty_ffi');


exports.init = serve((request) => request);
