package restyffitest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"restyffi/internal/host"
)

// A queue does what nginx does, as include/ngx_http_lua_ffi.h says.
type queue struct {
	mu      sync.Mutex
	changed *sync.Cond // waiting, ended, gone, closed

	last    host.Task
	waiting []*call
	taken   map[host.Task]*call
	gone    []host.Task
	lines   []string
	ended   bool
	closed  bool
}

type call struct {
	host.Call
	deadline  time.Time
	abandoned bool
	answered  chan answer
}

type answer struct {
	rc       int
	response []byte
}

func newQueue() *queue {
	q := &queue{taken: make(map[host.Task]*call)}
	q.changed = sync.NewCond(&q.mu)
	return q
}

func (q *queue) push(ctx context.Context, method string, req []byte) (*call, error) {
	deadline, _ := ctx.Deadline()
	id, _ := ctx.Value(requestIDKey{}).(string)
	trace, _ := ctx.Value(traceparentKey{}).(string)

	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return nil, ErrUnloaded
	}
	q.last++
	c := &call{
		Call: host.Call{
			Task:      q.last,
			Method:    method,
			Request:   bytes.Clone(req),
			RequestID: id,
			Trace:     trace,
		},
		deadline: deadline,
		answered: make(chan answer, 1),
	}
	q.waiting = append(q.waiting, c)
	q.changed.Broadcast()
	return c, nil
}

// abandon is told of a call that is polled; one that is not never will be.
func (q *queue) abandon(c *call) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c.abandoned = true
	if q.taken[c.Task] == c {
		q.gone = append(q.gone, c.Task)
		q.changed.Broadcast()
	}
}

// end lets the polls end; false when it did before.
func (q *queue) end() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return false
	}
	q.ended = true
	q.changed.Broadcast()
	for len(q.waiting) > 0 || len(q.taken) > 0 {
		q.changed.Wait()
	}
	return true
}

func (q *queue) log() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]string(nil), q.lines...)
}

// ---- what the SDK calls

func (q *queue) Poll(calls *[host.MaxBatch]host.Call) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		n := 0
		for n < len(calls) && len(q.waiting) > 0 {
			c := q.waiting[0]
			q.waiting = q.waiting[1:]
			if c.abandoned {
				q.changed.Broadcast()
				continue
			}
			q.taken[c.Task] = c
			c.TimeLeft = time.Until(c.deadline)
			calls[n] = c.Call
			n++
		}
		if n > 0 || q.ended {
			return n
		}
		q.changed.Wait()
	}
}

func (q *queue) Respond(task host.Task, rc int, response []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.taken[task]
	if c == nil {
		panic(fmt.Sprintf("response refused: %d is no unanswered task", task))
	}
	delete(q.taken, task)
	c.answered <- answer{rc, bytes.Clone(response)}
	q.changed.Broadcast()
}

func (q *queue) IsAbandoned(task host.Task) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.taken[task]
	return c == nil || c.abandoned
}

func (q *queue) WaitAbandoned() ([]host.Task, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.gone) == 0 && !q.closed {
		q.changed.Wait()
	}
	tasks := q.gone
	q.gone = nil
	return tasks, !q.closed
}

func (q *queue) Log(_ host.Task, _ int, text string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lines = append(q.lines, text)
}

func (q *queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}
