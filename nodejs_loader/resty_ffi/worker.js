'use strict';

// Runs first in the worker threads that code starts.

require('./packages.js').install();
