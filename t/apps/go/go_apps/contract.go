package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"strconv"

	"restyffi"
)

func echo(_ context.Context, _ string, req []byte) ([]byte, error) {
	return req, nil
}

func fail(_ context.Context, _ string, req []byte) ([]byte, error) {
	return nil, errors.New(string(req))
}

func grow(_ context.Context, _ string, req []byte) ([]byte, error) {
	size, err := strconv.Atoi(string(req))
	if err != nil {
		return nil, err
	}
	bytes := make([]byte, size)
	for i := range bytes {
		bytes[i] = byte(i)
	}
	return bytes, nil
}

// A gate is where the test holds a handler, see t/harness/gate.py.
type gate struct {
	*net.UnixConn
}

// reach says a name at the gate.
func reach(name string) (gate, error) {
	connection, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: "gate", Net: "unix"})
	if err == nil {
		_, err = io.WriteString(connection, name+"\n")
	}
	return gate{connection}, err
}

// hold waits until the test lets it go, and responds with what it says.
func hold(_ context.Context, _ string, req []byte) ([]byte, error) {
	gate, err := reach(string(req))
	if err != nil {
		return nil, err
	}
	defer gate.Close()
	return io.ReadAll(gate)
}

func startSlowly(string) (restyffi.Handler, error) {
	why, err := hold(context.Background(), "", []byte("slow_start"))
	if err != nil {
		return nil, err
	}
	if len(why) > 0 {
		return nil, errors.New(string(why))
	}
	return restyffi.HandlerFunc(func(context.Context, string, []byte) ([]byte, error) {
		return []byte("ready"), nil
	}), nil
}

// runInShell responds with the exit status that it saw.
func runInShell(_ context.Context, _ string, req []byte) ([]byte, error) {
	command := exec.Command("sh", "-c", string(req))
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	return []byte(strconv.Itoa(command.ProcessState.ExitCode())), nil
}
