// Linked with libdependency.so, which must lie beside it ($ORIGIN).
package main

/*
#cgo LDFLAGS: -L${SRCDIR} -ldependency -Wl,-rpath,$ORIGIN
#cgo LDFLAGS: -Wl,--unresolved-symbols=ignore-all
#include <string.h>

extern const char *dependency(void);
extern void *ngx_http_lua_ffi_task_poll(void *tq);
extern void ngx_http_lua_ffi_respond(void *task, int rc, char *rsp, int rsp_len);
*/
import "C"

import "unsafe"

//export libffi_init
func libffi_init(_ *C.char, tq unsafe.Pointer) C.int {
	go func() {
		for {
			task := C.ngx_http_lua_ffi_task_poll(tq)
			if task == nil {
				return
			}
			C.ngx_http_lua_ffi_respond(task, 0, C.strdup(C.dependency()), 0)
		}
	}()
	return 0
}

func main() {}
