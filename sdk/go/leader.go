package restyffi

import (
	"sync/atomic"
	"time"

	"restyffi/internal/host"
)

// How calls are run. To wake another thread for a call costs a hundred times
// what a quick handler takes. So the goroutine that polls, the leader, runs the
// handlers itself, one after another. Should one of them take long, another
// leader takes over the queue and what was polled, and the old one ends with
// that call. For a while then each call gets a goroutine of its own.

const (
	// patience is how long, at least, a handler holds the others up before the
	// queue is taken from its leader; twice that at most where it waits, some
	// 10 ms (when Go looks again) where it computes.
	patience = 500 * time.Microsecond

	// slowBatch is when several calls would better have run at the same time:
	// starting 64 goroutines takes half as long.
	slowBatch = 100 * time.Microsecond

	// Bounds of how many calls get goroutines after a slow one. The longer,
	// the rarer are attempts that hold others up: 1 in 65536 calls at worst.
	minSpawned = 64
	maxSpawned = 1 << 16

	// quickCalls, one after another, halve that.
	quickCalls = 1024
)

// A pace decides how calls are run.
type pace struct {
	spawn   int // calls still to get goroutines
	penalty int
	quick   int // calls since the last slow one
}

func (p *pace) slow() {
	p.penalty = min(max(2*p.penalty, minSpawned), maxSpawned)
	p.spawn = p.penalty
	p.quick = 0
}

func (p *pace) fast(calls int) {
	p.quick += calls
	if p.quick >= quickCalls {
		p.quick = 0
		p.penalty /= 2
	}
}

// A leader polls the queue and runs what it polled. turn is odd while a handler
// runs; who raises it by one ends that turn: the leader, or, to depose it, its
// watchdog.
type leader struct {
	rt     *runtime
	calls  [host.MaxBatch]host.Call
	polled time.Time
	n      int
	next   int // constant while turn is odd

	turn  atomic.Uint64
	armed atomic.Bool // whether the watchdog is going to look
	watch *time.Timer
	seen  uint64 // the watchdog's: turn, when it looked last
}

// lead runs calls until the runtime is unloaded, or the leader deposed. rest is
// what the one before has not come to, of what it polled at that time.
//
// It is not locked to a thread: that would end with it, and nginx would take the
// children that handlers started there for its own.
func (rt *runtime) lead(rest []host.Call, polled time.Time) {
	defer rt.running.Done()
	l := &leader{rt: rt, polled: polled}
	l.spawn(rest)
	l.armed.Store(true)
	l.watch = time.AfterFunc(patience, l.look)
	defer l.watch.Stop()
	defer l.replaceIfLost()

	for {
		l.n = rt.queue.Poll(&l.calls)
		if l.n == 0 {
			return
		}
		l.polled = time.Now()
		if rt.pace.spawn > 0 {
			rt.pace.spawn -= l.n
			l.spawn(l.calls[:l.n])
		} else if !l.run() {
			return
		}
	}
}

// spawn starts a goroutine for each call.
func (l *leader) spawn(calls []host.Call) {
	l.rt.running.Add(len(calls))
	for i := range calls {
		c := l.call(&calls[i])
		method, req := calls[i].Method, calls[i].Request
		calls[i] = host.Call{}
		go func() {
			defer l.rt.running.Done()
			c.serve(method, req)
		}()
	}
}

func (l *leader) call(from *host.Call) *call {
	return &call{
		rt:       l.rt,
		task:     from.Task,
		id:       from.RequestID,
		trace:    from.Trace,
		deadline: l.polled.Add(from.TimeLeft),
	}
}

// run answers the calls one after another; false when the leader was deposed.
func (l *leader) run() bool {
	for l.next = 0; l.next < l.n; {
		from := &l.calls[l.next]
		c := l.call(from)
		method, req := from.Method, from.Request
		*from = host.Call{}
		l.next++

		turn := l.turn.Add(1)
		if !l.armed.Load() && !l.armed.Swap(true) {
			l.watch.Reset(patience)
		}
		c.serve(method, req)
		if !l.turn.CompareAndSwap(turn, turn+1) {
			return false
		}
	}
	if l.n > 1 && time.Since(l.polled) > slowBatch {
		l.rt.pace.slow()
	} else {
		l.rt.pace.fast(l.n)
	}
	return true
}

// look is the watchdog: it runs while the leader does.
func (l *leader) look() {
	turn := l.turn.Load()
	if turn%2 == 0 {
		// Either the leader sees this, or its turn is seen here.
		l.armed.Store(false)
		turn = l.turn.Load()
		if turn%2 == 0 || l.armed.Swap(true) {
			return
		}
	}
	if turn != l.seen {
		l.seen = turn
		l.watch.Reset(patience)
		return
	}
	if l.turn.CompareAndSwap(turn, turn+1) {
		l.replace()
	}
}

// replace has another leader go on, in place of one that was deposed or lost.
func (l *leader) replace() {
	l.rt.pace.slow()
	l.rt.running.Add(1)
	go l.rt.lead(l.calls[l.next:l.n], l.polled)
}

// replaceIfLost is deferred: a handler may have called runtime.Goexit.
func (l *leader) replaceIfLost() {
	turn := l.turn.Load()
	if turn%2 == 1 && l.turn.CompareAndSwap(turn, turn+1) {
		l.replace()
	}
}
