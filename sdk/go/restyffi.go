// Package restyffi is for libraries that nginx runs: a handler of Lua's calls,
// in Go, in the worker.
//
//	package main
//
//	import (
//		"context"
//
//		"restyffi"
//	)
//
//	func greet(_ context.Context, _ string, req []byte) ([]byte, error) {
//		return append([]byte("Hello, "), req...), nil
//	}
//
//	func init() {
//		restyffi.Serve(func(cfg string) (restyffi.Handler, error) {
//			return restyffi.HandlerFunc(greet), nil
//		})
//	}
//
//	func main() {}
//
// "go build -buildmode=c-shared -o libhello.so" makes the library of it, and
// package restyffitest tests it without nginx.
package restyffi

import (
	"context"
	"errors"
	"io"

	"restyffi/internal/host"
)

// A Handler answers the calls of one runtime. A Handler that is an [io.Closer]
// is closed when its runtime was unloaded and every call was answered.
type Handler interface {
	// Handle answers one call: method and req are what Lua called and sent,
	// in rt:method(req). Calls run at the same time, on goroutines of the SDK's:
	// a thread that is locked must be unlocked as often.
	//
	// A nil req is Lua's nil, an empty one the empty string, and so is the
	// response. req is the handler's to keep; the response is copied.
	//
	// An error becomes the caller's rc and message, see [Error]. A panic is an
	// error to the caller, and its stack is in error.log; so is runtime.Goexit.
	// A panic in a goroutine that the handler started ends the worker.
	//
	// ctx is done when the caller does not wait any more (its timeout is
	// ctx's deadline; clients leave) and when Handle has returned.
	Handle(ctx context.Context, method string, req []byte) ([]byte, error)
}

// HandlerFunc is a function that is a [Handler].
type HandlerFunc func(ctx context.Context, method string, req []byte) ([]byte, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, method string, req []byte) ([]byte, error) {
	return f(ctx, method, req)
}

// Serve has the library's runtimes answered by what factory makes, which is
// called once for each: for each configuration that Lua loads the library with.
// To be called once, in an init function.
//
// cfg is the configuration's bytes, whatever they are. A factory that takes a
// []byte sees no configuration (nil in Lua) as nil and the empty one as empty,
// as with requests; both are "" to a factory that takes a string. An error, or
// a panic, fails the load with its message.
func Serve[C string | []byte](factory func(cfg C) (Handler, error)) {
	if host.Served != nil {
		panic("restyffi: Serve called twice")
	}
	host.Served = FactoryOf(factory)
}

// FactoryOf is of use to package restyffitest only.
func FactoryOf[C string | []byte](factory func(cfg C) (Handler, error)) host.Factory {
	return func(cfg *string) (host.Handle, func() error, error) {
		var text C
		if cfg != nil {
			text = C(*cfg)
		}
		handler, err := factory(text)
		if err != nil {
			return nil, nil, err
		}
		if handler == nil {
			return nil, nil, errors.New("the factory returned no handler")
		}
		var shut func() error
		if closer, ok := handler.(io.Closer); ok {
			shut = closer.Close
		}
		return handler.Handle, shut, nil
	}
}
