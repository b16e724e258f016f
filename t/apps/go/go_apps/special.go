package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"restyffi"
)

// text is set by the linker, see harness.go.build().
var text string

func init() {
	apps["version"] = always(version)
	apps["misfits"] = always(misfit)
	apps["facts"] = always(fact)
	apps["cancel"] = always(cancelled)
	apps["closer"] = newCloser
	apps["json"] = newJSON
	slog.SetDefault(slog.New(restyffi.NewLogHandler(&slog.HandlerOptions{Level: slog.LevelDebug})))
}

// version responds with the text; wait() at the gate first.
func version(ctx context.Context, method string, req []byte) ([]byte, error) {
	if method == "wait" {
		if _, err := hold(ctx, method, req); err != nil {
			return nil, err
		}
	}
	return []byte(text), nil
}

// released ends a loop without calls, which Go can interrupt only by a signal.
var released atomic.Bool

func spin() {
	for !released.Load() {
	}
}

// printToNobody makes standard output a pipe that nobody reads.
func printToNobody() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	r.Close()
	defer w.Close()
	if err := syscall.Dup3(int(w.Fd()), 1, 0); err != nil {
		return err
	}
	_, err = fmt.Println("x")
	return err
}

func misfit(_ context.Context, method string, req []byte) ([]byte, error) {
	switch method {
	case "panic":
		panic(string(req))
	case "goexit":
		runtime.Goexit()
	case "nil_pointer":
		var none *strings.Builder
		none.WriteByte('x')
	case "print_to_nobody":
		return nil, printToNobody()
	case "rc":
		return nil, &restyffi.Error{RC: 42, Message: string(req)}
	case "spin":
		spin()
	case "release":
		released.Store(true)
	case "collect":
		runtime.GC()
	}
	return []byte("fine"), nil
}

func fact(ctx context.Context, method string, req []byte) ([]byte, error) {
	switch method {
	case "deadline":
		deadline, _ := ctx.Deadline()
		return []byte(time.Until(deadline).String()), nil
	case "request_id":
		return []byte(restyffi.RequestID(ctx)), nil
	case "traceparent":
		return []byte(restyffi.Traceparent(ctx)), nil
	case "log":
		slog.WarnContext(ctx, string(req), "item", "green tea")
	case "log_outside":
		slog.Error(string(req))
	case "environment":
		return []byte(os.Getenv(string(req))), nil
	case "child":
		return exec.CommandContext(ctx, "sh", "-c", string(req)).Output()
	}
	return nil, nil
}

// cancelled says at the gate why its context is done, and returns when the test
// lets it go.
func cancelled(ctx context.Context, _ string, req []byte) ([]byte, error) {
	gate, err := reach(string(req))
	if err != nil {
		return nil, err
	}
	defer gate.Close()
	<-ctx.Done()
	if _, err = io.WriteString(gate, ctx.Err().Error()); err != nil {
		return nil, err
	}
	return io.ReadAll(gate)
}

// A closer says at the gate that it is closed.
type closer struct {
	restyffi.HandlerFunc
}

func newCloser(string) (restyffi.Handler, error) {
	return closer{hold}, nil
}

func (closer) Close() error {
	_, err := hold(context.Background(), "", []byte("closed"))
	return err
}

func newJSON(text string) (restyffi.Handler, error) {
	var cfg struct{ Greeting string }
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		return nil, err
	}
	return restyffi.HandlerFunc(func(context.Context, string, []byte) ([]byte, error) {
		return []byte(cfg.Greeting), nil
	}), nil
}
