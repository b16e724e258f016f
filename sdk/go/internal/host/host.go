// Package host is the seam between the SDK and what feeds it with calls: nginx
// in a worker, an emulator in a test.
package host

import "time"

// A Task is the handle of one call in flight. It is a number, never an
// address, and stale once the call was answered.
type Task uintptr

// MaxBatch is how many calls one Poll returns at most.
const MaxBatch = 64

// Levels of a line in the log.
const (
	LevelError  = 4
	LevelWarn   = 5
	LevelNotice = 6
	LevelInfo   = 7
	LevelDebug  = 8
)

// A Call is what a Poll returns: all of it is Go's own memory.
type Call struct {
	Task      Task
	Method    string
	Request   []byte // nil for nil
	RequestID string
	Trace     string
	TimeLeft  time.Duration
}

// A Queue is the task queue of one runtime. All methods may be called from any
// goroutine, but for Poll, which one calls at a time.
type Queue interface {
	// Poll waits for calls and stores them; 0 is the end of the queue.
	Poll(calls *[MaxBatch]Call) int

	// Respond answers a call, once. A nil response is nil.
	Respond(task Task, rc int, response []byte)

	// IsAbandoned tells whether nobody waits for the answer any more.
	IsAbandoned(task Task) bool

	// WaitAbandoned waits until calls are abandoned that were polled and not
	// answered, and returns their tasks; false after Close.
	WaitAbandoned() ([]Task, bool)

	// Log writes to the log, on behalf of a task, or of the runtime when
	// task is 0.
	Log(task Task, level int, text string)

	// Close ends WaitAbandoned; after the end of the queue.
	Close()
}
