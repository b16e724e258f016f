'use strict';

// Responds with the request.

const { serve } = require('resty_ffi');


exports.init = serve((request) => request);
