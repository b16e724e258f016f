package restyffi

import (
	"context"
	"sync"
	"time"

	"restyffi/internal/host"
)

// A call is the context of one call. Until somebody asks for Done, or derives a
// context, nothing has to be kept for it.
type call struct {
	rt       *runtime
	task     host.Task
	id       string
	trace    string
	deadline time.Time

	mu     sync.Mutex
	ended  bool
	inner  context.Context // nil: not asked for
	cancel context.CancelFunc
}

type callKey struct{}

// callOf returns the call that ctx comes from, or nil.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// RequestID returns the id of the request that the call was made in, as
// lua_ffi_request_id in nginx.conf has it, "" if there is none.
func RequestID(ctx context.Context) string {
	if c := callOf(ctx); c != nil {
		return c.id
	}
	return ""
}

// Traceparent returns the header of that name, of W3C's Trace Context, of the
// request that the call was made in; "" if there is none that is valid.
func Traceparent(ctx context.Context) string {
	if c := callOf(ctx); c != nil {
		return c.trace
	}
	return ""
}

func (c *call) Deadline() (time.Time, bool) {
	return c.deadline, true
}

func (c *call) Done() <-chan struct{} {
	return c.open().Done()
}

func (c *call) Err() error {
	return c.open().Err()
}

// Value of a call that was opened is also what package context finds its own
// contexts by, so that one derived from a call needs no goroutine.
func (c *call) Value(key any) any {
	if _, ok := key.(callKey); ok {
		return c
	}
	c.mu.Lock()
	inner := c.inner
	c.mu.Unlock()
	if inner == nil {
		return nil
	}
	return inner.Value(key)
}

// open returns the context that really can be cancelled, making it if need be.
func (c *call) open() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		// nginx is first: the caller gets its timeout, not the handler's error.
		c.inner, c.cancel = context.WithDeadline(context.Background(), c.deadline.Add(timeoutSlack))
		if c.ended {
			c.cancel()
		} else {
			c.rt.watch(c)
		}
	}
	return c.inner
}

// end is called when the handler has returned.
func (c *call) end() {
	c.mu.Lock()
	c.ended = true
	cancel := c.cancel
	c.mu.Unlock()
	if cancel != nil {
		c.rt.unwatch(c)
		cancel()
	}
}

// timeoutSlack is how far nginx's clock and ours may be apart: its counts in
// milliseconds, and is not always looked at.
const timeoutSlack = 5 * time.Millisecond

// abandon tells the handler that nobody waits. Whose time is over learns that
// from the deadline, and so the right reason.
func (c *call) abandon() {
	if time.Until(c.deadline) > timeoutSlack {
		c.cancel()
	}
}

// log writes on behalf of the call, of its runtime alone when it was answered.
func (c *call) log(level int, text string) {
	c.mu.Lock()
	task := c.task
	if c.ended {
		task = 0
	}
	c.mu.Unlock()
	c.rt.queue.Log(task, level, text)
}
