//! As libraries in the field are: the four functions of the old contract in an
//! extern block, a thread that nobody joins, no libffi_fini. Echoes, and puts
//! its configuration in front.

use std::ffi::{c_char, c_int, c_void, CStr};
use std::{ptr, slice, thread};

extern "C" {
    fn ngx_http_lua_ffi_task_poll(tq: *mut c_void) -> *mut c_void;
    fn ngx_http_lua_ffi_get_req(task: *mut c_void, len: *mut c_int) -> *mut c_char;
    fn ngx_http_lua_ffi_respond(task: *mut c_void, rc: c_int, rsp: *mut c_char, rsp_len: c_int);
}

struct Queue(*mut c_void);

unsafe impl Send for Queue {}

fn serve(queue: Queue, greeting: Vec<u8>) {
    loop {
        unsafe {
            let task = ngx_http_lua_ffi_task_poll(queue.0);
            if task.is_null() {
                break;
            }
            let mut len = 0;
            let req = ngx_http_lua_ffi_get_req(task, &mut len);
            let req = slice::from_raw_parts(req as *const u8, len as usize);
            let rsp = [greeting.as_slice(), req].concat();
            let copy = libc::malloc(rsp.len()) as *mut u8;
            ptr::copy_nonoverlapping(rsp.as_ptr(), copy, rsp.len());
            ngx_http_lua_ffi_respond(task, 0, copy as *mut c_char, rsp.len() as c_int);
        }
    }
}

#[no_mangle]
unsafe extern "C" fn libffi_init(cfg: *mut c_char, tq: *mut c_void) -> c_int {
    let greeting = unsafe { CStr::from_ptr(cfg) }.to_bytes().to_vec();
    let queue = Queue(tq);
    thread::spawn(move || {
        let queue = queue;
        serve(queue, greeting)
    });
    0
}
