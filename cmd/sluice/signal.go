package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal returns a context that the first SIGINT or SIGTERM ends, with an *interrupted as its
// cause. The second signal has its usual effect and kills the program.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the program
		s := <-signals
		signal.Stop(signals)
		cancel(&interrupted{s})
	}()
	return ctx
}

// interrupted says which signal has ended a context.
type interrupted struct{ signal os.Signal }

func (e *interrupted) Error() string { return "stopped by a signal: " + e.signal.String() }

func (e *interrupted) Unwrap() error { return context.Canceled }

// ExitStatus is what a shell has for a program that the signal has killed: 130 for SIGINT. It is
// that of subcommands whose error is the signal, since they have an end of their own.
func (e *interrupted) ExitStatus() int {
	if n, ok := e.signal.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return 1
}
