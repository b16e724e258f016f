package ngx

// #include "contract.h"
import "C"

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"restyffi/internal/host"
)

// maxMethods bounds the method names that are remembered, so that calls do not
// allocate theirs: libraries have a handful.
const maxMethods = 64

// A queue is one runtime's in nginx.
type queue struct {
	tq     C.uintptr_t
	gone   *os.File // readable when callers have gone
	polled [host.MaxBatch]C.restyffi_call_t
	names  map[string]string // Poll's only
}

func newQueue(tq C.uintptr_t) (*queue, error) {
	fd, err := C.restyffi_event_fd(tq)
	if fd == -1 {
		return nil, err
	}
	return &queue{
		tq:    tq,
		gone:  os.NewFile(uintptr(fd), "abandoned calls"),
		names: make(map[string]string),
	}, nil
}

func (q *queue) Poll(calls *[host.MaxBatch]host.Call) int {
	n := int(C.restyffi_poll(q.tq, &q.polled[0], host.MaxBatch))
	for i := 0; i < n; i++ {
		from := &q.polled[i]
		calls[i] = host.Call{
			Task:      host.Task(from.task),
			Method:    q.method(bytesOf(from.method, from.method_len)),
			Request:   copyOf(from.request, from.request_len),
			RequestID: string(bytesOf(from.id, from.id_len)),
			Trace:     string(bytesOf(from.trace, from.trace_len)),
			TimeLeft:  time.Duration(from.time_left) * time.Millisecond,
		}
	}
	return max(n, 0)
}

func (q *queue) method(name []byte) string {
	known, found := q.names[string(name)]
	if !found {
		known = string(name)
		if len(q.names) < maxMethods {
			q.names[known] = known
		}
	}
	return known
}

func (q *queue) Respond(task host.Task, rc int, response []byte) {
	C.restyffi_respond(C.uintptr_t(task), C.int(rc),
		unsafe.Pointer(unsafe.SliceData(response)), C.size_t(len(response)))
}

func (q *queue) IsAbandoned(task host.Task) bool {
	return C.restyffi_is_abandoned(C.uintptr_t(task)) != 0
}

func (q *queue) WaitAbandoned() ([]host.Task, bool) {
	var events [8]byte
	if _, err := q.gone.Read(events[:]); err != nil {
		return nil, false
	}
	var tasks []host.Task
	var some [host.MaxBatch]C.uintptr_t
	for {
		n := C.restyffi_poll_abandoned(q.tq, &some[0], host.MaxBatch)
		if n == 0 {
			return tasks, true
		}
		for _, task := range some[:n] {
			tasks = append(tasks, host.Task(task))
		}
	}
}

func (q *queue) Log(task host.Task, level int, text string) {
	C.restyffi_log(q.tq, C.uintptr_t(task), C.int(level), chars(text), C.size_t(len(text)))
}

// Log writes to the log without the name of a runtime.
func Log(level int, text string) {
	if C.restyffi_in_nginx() == 0 {
		fmt.Fprintln(os.Stderr, text)
		return
	}
	C.restyffi_log(0, 0, C.int(level), chars(text), C.size_t(len(text)))
}

func (q *queue) Close() {
	q.gone.Close()
}

// chars lends the bytes of a Go string to C for one call; never NULL.
func chars(text string) *C.char {
	if text == "" {
		text = "\x00"
	}
	return (*C.char)(unsafe.Pointer(unsafe.StringData(text)))
}

// bytesOf looks at C's memory; none for NULL.
func bytesOf(p *C.char, n C.size_t) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), int(n))
}

// copyOf keeps nil and empty apart.
func copyOf(p *C.char, n C.size_t) []byte {
	if p == nil {
		return nil
	}
	if n == 0 {
		return []byte{}
	}
	return append([]byte(nil), bytesOf(p, n)...)
}

// stringOf is a configuration, nil for NULL.
func stringOf(p *C.char) *string {
	if p == nil {
		return nil
	}
	text := C.GoString(p)
	return &text
}
