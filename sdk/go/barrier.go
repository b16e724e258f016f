package restyffi

import (
	"errors"
	"fmt"
	"runtime/debug"

	"restyffi/internal/host"
)

// errGoexit is how a function that never returned ended, unless it panicked.
var errGoexit = errors.New("runtime.Goexit was called")

// serve answers one call, whatever the handler does.
func (c *call) serve(method string, req []byte) {
	var rc int
	var rsp []byte
	err := errGoexit
	defer func() {
		if err != nil {
			rc, rsp = failed, []byte(err.Error())
		}
		c.end()
		c.rt.queue.Respond(c.task, rc, rsp)
	}()
	defer c.rt.barrier(c.task, &err)

	rc, rsp = outcome(c.rt.handle(c, method, req))
	err = nil
}

// outcome is what the caller gets.
func outcome(rsp []byte, err error) (int, []byte) {
	if err != nil {
		return rcOf(err), []byte(err.Error())
	}
	return 0, rsp
}

// apart runs a function of the library's on a goroutine of its own, and waits
// for it: nginx's thread must not end with a panic or runtime.Goexit.
func (rt *runtime) apart(f func() error) error {
	err := errGoexit
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer rt.barrier(0, &err)
		err = plain(f())
	}()
	<-done
	return err
}

// plain is an error whose text is known: an Error method may panic.
func plain(err error) error {
	if err != nil {
		err = errors.New(err.Error())
	}
	return err
}

// barrier, deferred, turns a panic into an error, and logs where it happened.
// err is errGoexit until the function that it guards has returned.
func (rt *runtime) barrier(task host.Task, err *error) {
	if value := recover(); value != nil {
		*err = fmt.Errorf("panic: %v", value)
	} else if *err != errGoexit {
		return
	}
	rt.queue.Log(task, host.LevelError, (*err).Error()+"\n"+string(debug.Stack()))
}
