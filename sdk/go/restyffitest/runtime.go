// Package restyffitest runs a handler without nginx, for "go test".
//
//	func TestGreeting(t *testing.T) {
//		rt, err := restyffitest.Load(newGreeter, "Hello")
//		if err != nil {
//			t.Fatal(err)
//		}
//		defer rt.Unload()
//
//		answer, err := rt.Call(context.Background(), "greet", []byte("Ada"))
//		...
//	}
//
// What is said of handlers in package restyffi is so here, too.
package restyffitest

import (
	"context"
	"errors"
	"time"

	"restyffi"
	"restyffi/internal/host"
)

// timeout is what calls have in nginx when nothing else is said.
const timeout = time.Minute

// ErrUnloaded is what calls of a runtime get that was unloaded.
var ErrUnloaded = errors.New("unloaded")

// A Runtime is a handler with one configuration. Its methods may be called from
// any goroutine.
type Runtime struct {
	queue *queue
	end   func()
}

// Load starts a runtime, as ngx.load_ffi() does: with the factory that
// restyffi.Serve gets, or with the error that Lua would get.
func Load[C string | []byte](
	factory func(cfg C) (restyffi.Handler, error), cfg C,
) (*Runtime, error) {
	var text *string
	if !isNil(cfg) {
		bytes := string(cfg)
		text = &bytes
	}
	queue := newQueue()
	end, err := host.Start(queue, restyffi.FactoryOf(factory), text)
	if err != nil {
		return nil, err
	}
	return &Runtime{queue: queue, end: end}, nil
}

func isNil[C string | []byte](cfg C) bool {
	bytes, ok := any(cfg).([]byte)
	return ok && bytes == nil
}

// Call calls the handler, as rt:method(req) does in Lua. ctx is the caller: its
// deadline is the call's timeout, a minute if it has none, and the handler's
// context is done when it is done. The call then fails with ctx's error, while
// the handler may go on.
//
// What the handler failed with is a *[restyffi.Error].
func (rt *Runtime) Call(ctx context.Context, method string, req []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := rt.queue.push(ctx, method, req)
	if err != nil {
		return nil, err
	}
	select {
	case a := <-c.answered:
		if a.rc != 0 {
			return nil, &restyffi.Error{RC: a.rc, Message: string(a.response)}
		}
		return a.response, nil
	case <-ctx.Done():
		rt.queue.abandon(c)
		return nil, ctx.Err()
	}
}

// Unload ends the runtime, as rt:__unload(seconds) does: it returns when every
// call was answered and the handler is closed.
func (rt *Runtime) Unload() {
	if rt.queue.end() {
		rt.end()
	}
}

// Log returns what the runtime wrote to error.log so far.
func (rt *Runtime) Log() []string {
	return rt.queue.log()
}

type requestIDKey struct{}

// WithRequestID returns a ctx for Call in which the request has that id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

type traceparentKey struct{}

// WithTraceparent returns a ctx for Call in which the request has that header.
func WithTraceparent(ctx context.Context, header string) context.Context {
	return context.WithValue(ctx, traceparentKey{}, header)
}
