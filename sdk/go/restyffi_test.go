package restyffi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"restyffi"
	"restyffi/restyffitest"
)

type handle = func(ctx context.Context, method string, req []byte) ([]byte, error)

var background = context.Background()

// load starts a runtime of a function, and unloads it after the test.
func load(t testing.TB, f handle) *restyffitest.Runtime {
	t.Helper()
	rt, err := restyffitest.Load(func(string) (restyffi.Handler, error) {
		return restyffi.HandlerFunc(f), nil
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rt.Unload)
	return rt
}

func echo(_ context.Context, _ string, req []byte) ([]byte, error) {
	return req, nil
}

func TestRequestComesBack(t *testing.T) {
	got, err := load(t, echo).Call(background, "echo", []byte("hello"))
	if string(got) != "hello" || err != nil {
		t.Fatal(got, err)
	}
}

func TestNilAndEmptyStayDifferent(t *testing.T) {
	rt := load(t, echo)
	for _, req := range [][]byte{nil, {}} {
		got, _ := rt.Call(background, "echo", req)
		if (got == nil) != (req == nil) || len(got) != 0 {
			t.Errorf("%#v became %#v", req, got)
		}
	}
}

func TestMethodReachesTheHandler(t *testing.T) {
	rt := load(t, func(_ context.Context, method string, _ []byte) ([]byte, error) {
		return []byte(method), nil
	})
	for _, method := range []string{"get", ""} {
		if got, _ := rt.Call(background, method, nil); string(got) != method {
			t.Errorf("%q became %q", method, got)
		}
	}
}

func TestConfigurationThatIsNilOrEmpty(t *testing.T) {
	for _, cfg := range [][]byte{nil, {}, []byte("\xff\x80")} {
		rt, err := restyffitest.Load(func(cfg []byte) (restyffi.Handler, error) {
			return restyffi.HandlerFunc(func(context.Context, string, []byte) ([]byte, error) {
				return cfg, nil
			}), nil
		}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := rt.Call(background, "get", nil)
		if (got == nil) != (cfg == nil) || !bytes.Equal(got, cfg) {
			t.Errorf("%#v became %#v", cfg, got)
		}
		rt.Unload()
	}
}

type brokenError struct{}

func (*brokenError) Error() string { panic("broken") }

func TestErrorIsNumberAndMessage(t *testing.T) {
	own := &restyffi.Error{RC: 42, Message: "mine"}
	for _, test := range []struct {
		err     error
		rc      int
		message string
	}{
		{errors.New("any"), 1, "any"},
		{own, 42, "mine"},
		{fmt.Errorf("wrapped: %w", own), 42, "wrapped: mine"},
		{&restyffi.Error{RC: -1}, -1, ""},
		{&restyffi.Error{Message: "no success"}, 1, "no success"},
		{&restyffi.Error{RC: 1 << 40}, 1, ""},
		{&brokenError{}, 1, "panic: broken"},
	} {
		rt := load(t, func(context.Context, string, []byte) ([]byte, error) {
			return []byte("dropped"), test.err
		})
		_, err := rt.Call(background, "fail", nil)
		var got *restyffi.Error
		if !errors.As(err, &got) || got.RC != test.rc || got.Message != test.message {
			t.Errorf("%#v became %#v", test.err, err)
		}
	}
}

func TestPanicIsAnErrorWithItsStackInTheLog(t *testing.T) {
	rt := load(t, func(_ context.Context, method string, _ []byte) ([]byte, error) {
		switch method {
		case "nil":
			var none *strings.Builder
			none.WriteByte(0)
		case "exit":
			runtime.Goexit()
		}
		panic("at the disco")
	})
	for method, text := range map[string]string{
		"panic": "panic: at the disco",
		"nil":   "nil pointer dereference",
		"exit":  "runtime.Goexit was called",
	} {
		for i := 0; i < 10; i++ {
			_, err := rt.Call(background, method, nil)
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v", method, err)
			}
		}
		log := strings.Join(rt.Log(), "\n")
		if !strings.Contains(log, text) || !strings.Contains(log, "restyffi_test.go") {
			t.Errorf("%s: %s", method, log)
		}
	}
}

func TestFactoryThatFailsSaysWhy(t *testing.T) {
	for text, factory := range map[string]func(string) (restyffi.Handler, error){
		"no luck":      func(string) (restyffi.Handler, error) { return nil, errors.New("no luck") },
		"panic: at it": func(string) (restyffi.Handler, error) { panic("at it") },
		"Goexit":       func(string) (restyffi.Handler, error) { runtime.Goexit(); return nil, nil },
		"no handler":   func(string) (restyffi.Handler, error) { return nil, nil },
	} {
		if _, err := restyffitest.Load(factory, ""); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCallerThatLeavesCancelsTheContext(t *testing.T) {
	held := make(chan error)
	rt := load(t, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		held <- nil
		<-ctx.Done()
		held <- ctx.Err()
		return nil, nil
	})
	ctx, cancel := context.WithCancel(background)
	go func() {
		<-held
		cancel()
	}()
	if _, err := rt.Call(ctx, "wait", nil); err != context.Canceled {
		t.Error(err)
	}
	if err := <-held; err != context.Canceled {
		t.Error(err)
	}
}

func TestContextAskedLateIsCancelled(t *testing.T) {
	held, gone := make(chan bool), make(chan bool)
	rt := load(t, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		held <- true
		<-gone
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		<-derived.Done()
		held <- true
		return nil, nil
	})
	ctx, cancel := context.WithCancel(background)
	go func() {
		<-held
		cancel()
	}()
	rt.Call(ctx, "wait", nil)
	gone <- true
	<-held
}

func TestDeadlineIsTheCallers(t *testing.T) {
	deadlines, errs := make(chan time.Time, 1), make(chan error)
	rt := load(t, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		deadline, _ := ctx.Deadline()
		deadlines <- deadline
		<-ctx.Done()
		errs <- ctx.Err()
		return nil, nil
	})
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	if _, err := rt.Call(ctx, "wait", nil); err != context.DeadlineExceeded {
		t.Error(err)
	}
	want, _ := ctx.Deadline()
	if got := <-deadlines; got.Sub(want).Abs() > time.Second {
		t.Error(got, want)
	}
	if err := <-errs; err != context.DeadlineExceeded {
		t.Error(err)
	}
}

func TestContextEndsWithTheCall(t *testing.T) {
	contexts := make(chan context.Context, 1)
	rt := load(t, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		contexts <- ctx
		return nil, ctx.Err()
	})
	if _, err := rt.Call(background, "get", nil); err != nil {
		t.Fatal(err)
	}
	if ctx := <-contexts; ctx.Err() == nil {
		t.Error("not done")
	}
}

func TestRequestID(t *testing.T) {
	rt := load(t, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		return []byte(restyffi.RequestID(derived)), nil
	})
	for _, id := range []string{"r1", ""} {
		got, _ := rt.Call(restyffitest.WithRequestID(background, id), "get", nil)
		if string(got) != id {
			t.Errorf("%q became %q", id, got)
		}
	}
}

func TestTraceparent(t *testing.T) {
	rt := load(t, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		return []byte(restyffi.Traceparent(ctx)), nil
	})
	for _, header := range []string{"t1", ""} {
		got, _ := rt.Call(restyffitest.WithTraceparent(background, header), "get", nil)
		if string(got) != header {
			t.Errorf("%q became %q", header, got)
		}
	}
}

func TestLogOfACall(t *testing.T) {
	logger := slog.New(restyffi.NewLogHandler(nil)).With("app", "shop").WithGroup("order")
	rt := load(t, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		logger.WarnContext(ctx, "sold out", "level", 3, "item", "green tea")
		logger.DebugContext(ctx, "unseen")
		return nil, nil
	})
	rt.Call(background, "log", nil)
	want := `sold out app=shop order.level=3 order.item="green tea"`
	if got := rt.Log(); len(got) != 1 || got[0] != want {
		t.Errorf("%q", got)
	}
}

// Handlers that are quick run one after another, until one is not: the others
// must not wait for it.
func TestSlowCallHoldsNobodyUp(t *testing.T) {
	slow := make(chan bool)
	rt := load(t, func(_ context.Context, method string, req []byte) ([]byte, error) {
		if method == "slow" {
			<-slow
		}
		return req, nil
	})
	for i := 0; i < 3; i++ {
		for j := 0; j < 2000; j++ {
			rt.Call(background, "quick", nil)
		}
		var calls sync.WaitGroup
		for j := 0; j < 5; j++ {
			calls.Add(1)
			go func() {
				defer calls.Done()
				rt.Call(background, "slow", nil)
			}()
		}
		for j := 0; j < 100; j++ {
			rt.Call(background, "quick", nil)
		}
		close(slow)
		calls.Wait()
		slow = make(chan bool)
	}
}

func TestSlowCallsRunAtTheSameTime(t *testing.T) {
	const many = 200
	var here sync.WaitGroup
	here.Add(many)
	rt := load(t, func(context.Context, string, []byte) ([]byte, error) {
		here.Done()
		here.Wait()
		return nil, nil
	})
	var calls sync.WaitGroup
	for i := 0; i < many; i++ {
		calls.Add(1)
		go func() {
			defer calls.Done()
			rt.Call(background, "meet", nil)
		}()
	}
	calls.Wait()
}

func TestEachOfManyCallsGetsItsOwnAnswer(t *testing.T) {
	rt := load(t, func(_ context.Context, method string, req []byte) ([]byte, error) {
		switch len(req) % 5 {
		case 1:
			runtime.Goexit()
		case 2:
			panic("no")
		case 3:
			time.Sleep(time.Millisecond)
		}
		return req, nil
	})
	var calls sync.WaitGroup
	var right atomic.Int32
	for i := 0; i < 50; i++ {
		calls.Add(1)
		go func() {
			defer calls.Done()
			for size := 0; size < 100; size++ {
				got, err := rt.Call(background, "get", make([]byte, size))
				if (err != nil) == (size%5 == 1 || size%5 == 2) && (err != nil || len(got) == size) {
					right.Add(1)
				}
			}
		}()
	}
	calls.Wait()
	if right.Load() != 5000 {
		t.Error(right.Load())
	}
}

type closer struct {
	restyffi.HandlerFunc
	close func() error
}

func (c closer) Close() error { return c.close() }

func TestHandlerIsClosedAfterTheLastAnswer(t *testing.T) {
	held, open := make(chan bool), make(chan bool)
	var answered, closed atomic.Bool
	rt, _ := restyffitest.Load(func(string) (restyffi.Handler, error) {
		return closer{func(context.Context, string, []byte) ([]byte, error) {
			held <- true
			<-open
			answered.Store(true)
			return nil, nil
		}, func() error {
			closed.Store(answered.Load())
			return errors.New("no good end")
		}}, nil
	}, "")
	go rt.Call(background, "wait", nil)
	<-held
	unloaded := make(chan bool)
	go func() {
		rt.Unload()
		close(unloaded)
	}()
	open <- true
	<-unloaded
	if !closed.Load() {
		t.Error("closed too early, or never")
	}
	if _, err := rt.Call(background, "wait", nil); err != restyffitest.ErrUnloaded {
		t.Error(err)
	}
	if log := rt.Log(); len(log) != 1 || log[0] != "Close: no good end" {
		t.Error(log)
	}
}

func TestUnloadLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := 0; i < 50; i++ {
		rt, _ := restyffitest.Load(func(string) (restyffi.Handler, error) {
			return restyffi.HandlerFunc(func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}), nil
		}, "")
		ctx, cancel := context.WithTimeout(background, time.Millisecond)
		rt.Call(ctx, "wait", nil)
		cancel()
		rt.Unload()
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines became %d", before, runtime.NumGoroutine())
		}
		runtime.Gosched()
	}
}

func BenchmarkEcho(b *testing.B) {
	rt := load(b, echo)
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		rt.Call(background, "echo", nil)
	}
}
