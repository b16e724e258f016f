// Package ngx is the SDK's side of the contract with nginx
// (include/ngx_http_lua_ffi.h): all of its cgo is here.
package ngx

// #include "contract.h"
import "C"

import (
	"os/signal"
	"sync"
	"syscall"

	"restyffi/internal/host"
)

// The ends of the runtimes that live, by their queues.
var ends sync.Map

//export libffi_init
func libffi_init(cfg *C.char, tq C.uintptr_t) C.int {
	// As nginx does. Else Go ends the process when something is printed that
	// nobody reads any more.
	signal.Ignore(syscall.SIGPIPE)
	if err := start(cfg, tq); err != nil {
		text := err.Error()
		C.restyffi_set_error(tq, chars(text), C.size_t(len(text)))
		return 1
	}
	return 0
}

//export libffi_fini
func libffi_fini(tq C.uintptr_t) {
	if end, found := ends.LoadAndDelete(tq); found {
		end.(func())()
	}
}

func start(cfg *C.char, tq C.uintptr_t) error {
	queue, err := newQueue(tq)
	if err != nil {
		return err
	}
	end, err := host.Start(queue, host.Served, stringOf(cfg))
	if err != nil {
		queue.Close()
		return err
	}
	ends.Store(tq, end)
	return nil
}
