'use strict';

// Fails, with the request as the reason.

const { serve } = require('resty_ffi');


exports.init = serve((request) => {
  throw new Error(request.toString());
});
