'use strict';

// Runs its request in a shell and responds with the exit status it saw.

const { spawn } = require('child_process');

const { serve } = require('resty_ffi');


function run(request) {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', String(request)]);
    child.on('error', reject);
    child.on('close', (status) => resolve(String(status)));
  });
}


exports.init = serve(run);
