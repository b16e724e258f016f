package main

import (
	"context"
	"testing"

	"restyffi/restyffitest"
)

func TestGreeting(t *testing.T) {
	rt, err := restyffitest.Load(newGreeter, "Hello, ")
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Unload()

	answer, err := rt.Call(context.Background(), "greet", []byte("Ada"))
	if err != nil || string(answer) != "Hello, Ada" {
		t.Error(string(answer), err)
	}
}
