package restyffi

import (
	"errors"
	"sync"
	"time"

	"restyffi/internal/host"
)

func init() {
	host.Start = start
}

// A runtime is one library with one configuration, alive.
type runtime struct {
	queue  host.Queue
	handle host.Handle
	shut   func() error // may be nil

	running sync.WaitGroup // the leaders, the teller and the calls
	pace    pace           // the leader's

	mu      sync.Mutex
	watched map[host.Task]*call // calls whose context can be cancelled
}

func start(queue host.Queue, factory host.Factory, cfg *string) (end func(), err error) {
	if factory == nil {
		return nil, errors.New("the library does not call restyffi.Serve in an init function")
	}
	rt := &runtime{queue: queue, watched: make(map[host.Task]*call)}
	err = rt.apart(func() (err error) {
		rt.handle, rt.shut, err = factory(cfg)
		return err
	})
	if err != nil {
		return nil, err
	}
	rt.running.Add(2)
	go rt.lead(nil, time.Time{})
	go rt.tell()
	return rt.end, nil
}

// tell tells handlers that their callers have gone.
func (rt *runtime) tell() {
	defer rt.running.Done()
	for {
		tasks, more := rt.queue.WaitAbandoned()
		if !more {
			return
		}
		for _, task := range tasks {
			rt.mu.Lock()
			c := rt.watched[task]
			rt.mu.Unlock()
			if c != nil {
				c.abandon()
			}
		}
	}
}

// watch has c.abandon called when, or if, the call is abandoned.
func (rt *runtime) watch(c *call) {
	rt.mu.Lock()
	rt.watched[c.task] = c
	rt.mu.Unlock()
	// It may have been told before.
	if rt.queue.IsAbandoned(c.task) {
		c.abandon()
	}
}

func (rt *runtime) unwatch(c *call) {
	rt.mu.Lock()
	delete(rt.watched, c.task)
	rt.mu.Unlock()
}

// end returns when nothing of the runtime is left; every call was answered.
func (rt *runtime) end() {
	rt.queue.Close()
	rt.running.Wait()
	if rt.shut == nil {
		return
	}
	if err := rt.apart(rt.shut); err != nil {
		rt.queue.Log(0, host.LevelError, "Close: "+err.Error())
	}
}
