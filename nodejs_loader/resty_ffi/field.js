'use strict';

// What modules for lua-resty-ffi use. A queue and a task are BigInts; all of it
// works in worker threads, too.

const { isUtf8 } = require('buffer');

const binding = require('./binding.js');


// Blocks the thread. A task, or 0n when the runtime ends.
function poll_task(tq) {
  return binding.pollTask(tq);
}


// A string, a Buffer when it is no UTF-8, undefined for a nil request.
function get_req(task) {
  const request = binding.getRequest(task);

  return request !== undefined && isUtf8(request) ? request.toString() : request;
}


// Once for each task.
function respond(task, rc, response) {
  binding.respondTask(task, rc, response);
}


module.exports = { get_req, poll_task, respond };
