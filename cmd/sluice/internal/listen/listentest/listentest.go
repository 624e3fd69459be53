// Package listentest runs the commands that listen, in their tests.
package listentest

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
)

// A Running is a command that a test has started.
type Running struct {
	HTTPS, HTTP string // addresses of its listeners, "" when off
	Out, Err    Buffer

	stop  context.CancelFunc
	ended chan error
}

// Start starts a command, which runs until the test ends, and waits until it listens. run is its
// Run: it writes to r.Out and r.Err, and calls ready with the addresses of its listeners, nil for
// those that are off.
func Start(t *testing.T, run func(ctx context.Context, r *Running, ready func(https, http net.Addr)) error) *Running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &Running{stop: stop, ended: make(chan error, 1)}
	listening := make(chan struct{})
	ready := func(https, http net.Addr) {
		if https != nil {
			r.HTTPS = https.String()
		}
		if http != nil {
			r.HTTP = http.String()
		}
		close(listening)
	}
	go func() { r.ended <- run(ctx, r, ready) }()
	select {
	case <-listening:
	case err := <-r.ended:
		stop()
		t.Fatalf("it did not start: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Errorf("at the end: %v", err)
		}
	})
	return r
}

// Stop stops the command and returns what its Run returned; nil after the first call.
func (r *Running) Stop() error {
	r.stop()
	err := <-r.ended
	r.ended <- nil // for the next call
	return err
}

// A Buffer keeps what is written, and may be used by several goroutines.
type Buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

// Write appends p.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
