// A library that knows nothing of our SDK: the four functions of the field's
// contract, one goroutine that polls, and one for each call.
package main

/*
#cgo LDFLAGS: -Wl,--unresolved-symbols=ignore-all
#include <stdlib.h>

extern void *ngx_http_lua_ffi_task_poll(void *tq);
extern char *ngx_http_lua_ffi_get_req(void *task, int *len);
extern void ngx_http_lua_ffi_respond(void *task, int rc, char *rsp, int rsp_len);
*/
import "C"

import (
	"time"
	"unsafe"
)

//export libffi_init
func libffi_init(cfg *C.char, tq unsafe.Pointer) C.int {
	prefix := "nil"
	if cfg != nil {
		prefix = C.GoString(cfg)
	}
	if prefix == "fail" {
		return 3
	}
	go func() {
		for {
			task := C.ngx_http_lua_ffi_task_poll(tq)
			if task == nil {
				return
			}
			go answer(task, prefix)
		}
	}()
	return 0
}

func answer(task unsafe.Pointer, prefix string) {
	var length C.int
	req := C.GoStringN(C.ngx_http_lua_ffi_get_req(task, &length), length)
	if req == "slow" {
		time.Sleep(10 * time.Millisecond)
	}
	text := prefix + ":" + req
	C.ngx_http_lua_ffi_respond(task, 0, C.CString(text), C.int(len(text)))
}

func main() {}
