// The least that a library is: it responds with the request, after a greeting
// that the configuration may set.
package main

import (
	"context"

	"restyffi"
)

type greeter struct {
	greeting string
}

func newGreeter(cfg string) (restyffi.Handler, error) {
	return &greeter{greeting: cfg}, nil
}

func (g *greeter) Handle(_ context.Context, _ string, req []byte) ([]byte, error) {
	return append([]byte(g.greeting), req...), nil
}

func init() {
	restyffi.Serve(newGreeter)
}

func main() {}
