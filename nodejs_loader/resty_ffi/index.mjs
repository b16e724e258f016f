// The same for import.

import ffi from './index.js';

const { Error } = ffi;

export { Error };
export const { get_req, poll_task, respond, serve } = ffi;
export default ffi;
