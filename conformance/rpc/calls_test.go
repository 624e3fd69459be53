package rpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/sluice-go/sluice/frame"
)

// A caller is a client of the service: grpc-go's or Connect's.
type caller interface {
	say(ctx context.Context, b []byte, ask string) (said, error)
	fail(ctx context.Context, text string) error
	wait(ctx context.Context) error
	count(ctx context.Context, to int64, each func(int64)) error
	sum(ctx context.Context, numbers ...int64) (int64, error)
	chat(ctx context.Context) (chat, error)
	explain(err error) explained
}

// A chat is a call of Chat. Receive returns io.EOF at its end.
type chat interface {
	send(b []byte) error
	closeSend() error
	receive() ([]byte, error)
}

// said is what Say returned.
type said struct {
	body            []byte
	answer, trailer string
}

// explained is an error of either client in one form.
type explained struct {
	code         codes.Code
	text, detail string
}

// testCalls makes calls of every kind.
func testCalls(t *testing.T, c caller, e *echo) {
	tests := []struct {
		name string
		run  func(*testing.T, caller, *echo)
	}{
		{"unary", testUnary},
		{"large messages", testLarge},
		{"error", testError},
		{"server stream", testServerStream},
		{"client stream", testClientStream},
		{"bidirectional stream", testBidi},
		{"large bidirectional stream", testLargeBidi},
		{"long streams", testLongStreams},
		{"at once", testAtOnce},
		{"deadline", testDeadline},
		{"cancelled call", testCancel},
		{"cancelled stream", testCancelStream},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, c, e) })
	}
}

// limited is the context of the calls of a test: none takes long.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	return ctx
}

func testUnary(t *testing.T, c caller, _ *echo) {
	for _, size := range []int{0, 1, 5, 16384, 70000} {
		got, err := c.say(limited(t), message(size), "who")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.body, message(size)) {
			t.Errorf("%d octets came back as %d others", size, len(got.body))
		}
		if got.answer != "who" || got.trailer != "who" {
			t.Errorf("the header has %q, the trailer %q, want both to have %q", got.answer, got.trailer, "who")
		}
	}
}

func testLarge(t *testing.T, c caller, _ *echo) {
	for _, size := range []int{1 << 20, 8 << 20} {
		got, err := c.say(limited(t), message(size), "")
		if err != nil {
			t.Fatal(err)
		}
		if sha256.Sum256(got.body) != sha256.Sum256(message(size)) {
			t.Errorf("%d octets came back as %d others", size, len(got.body))
		}
	}
}

var wantFailure = explained{failCode, failText, failText}

func testError(t *testing.T, c caller, _ *echo) {
	err := c.fail(limited(t), failText)
	if diff := cmp.Diff(wantFailure, c.explain(err), cmp.AllowUnexported(explained{})); diff != "" {
		t.Errorf("the error differs (-want +got):\n%s", diff)
	}
}

func testServerStream(t *testing.T, c caller, _ *echo) {
	for _, to := range []int64{0, 1, 1000, -1, -1000} {
		var got, want []int64
		err := c.count(limited(t), to, func(i int64) { got = append(got, i) })
		for i := range max(to, -to) {
			want = append(want, i+1)
		}
		if !slices.Equal(got, want) {
			t.Errorf("counting to %d: %d messages, want %d", to, len(got), len(want))
		}
		if to >= 0 {
			if err != nil {
				t.Errorf("counting to %d: %v", to, err)
			}
		} else if diff := cmp.Diff(wantFailure, c.explain(err), cmp.AllowUnexported(explained{})); diff != "" {
			t.Errorf("the error after %d messages differs (-want +got):\n%s", -to, diff)
		}
	}
}

func testClientStream(t *testing.T, c caller, _ *echo) {
	for _, n := range []int64{0, 1, 5000} {
		var numbers []int64
		for i := range n {
			numbers = append(numbers, i+1)
		}
		got, err := c.sum(limited(t), numbers...)
		if err != nil {
			t.Fatal(err)
		}
		if want := n * (n + 1) / 2; got != want {
			t.Errorf("the sum of 1 to %d is %d, want %d", n, got, want)
		}
	}
}

// Each message is sent when the answer to the one before is there: nothing on the way may hold one
// back.
func testBidi(t *testing.T, c caller, _ *echo) {
	s, err := c.chat(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		want := fmt.Appendf(nil, "message %d", i)
		if err := s.send(want); err != nil {
			_, cause := s.receive()
			t.Fatalf("sending message %d: %v: %v", i, err, cause)
		}
		got, err := s.receive()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("received %q, want %q", got, want)
		}
	}
	if err := s.closeSend(); err != nil {
		t.Fatal(err)
	}
	if got, err := s.receive(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %q, %v, want io.EOF", got, err)
	}
}

// Both directions are full at the same time, far beyond their windows.
func testLargeBidi(t *testing.T, c caller, _ *echo) {
	const messages, size = 64, 256 << 10
	s, err := c.chat(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		for range messages {
			if err := s.send(message(size)); err != nil {
				sent <- err
				return
			}
		}
		sent <- s.closeSend()
	}()
	for i := range messages {
		got, err := s.receive()
		if err != nil {
			t.Fatal(err)
		}
		if sha256.Sum256(got) != sha256.Sum256(message(size)) {
			t.Errorf("message %d came back as %d other octets", i, len(got))
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if _, err := s.receive(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, want io.EOF", err)
	}
}

// Thousands of small messages in each direction: a peer may answer each with frames of its own, as
// grpc-go does with a PING to measure the path, and must not be taken for an attacker.
func testLongStreams(t *testing.T, c caller, _ *echo) {
	const messages = 20_000
	numbers := make([]int64, messages)
	if _, err := c.sum(limited(t), numbers...); err != nil {
		t.Errorf("%d messages to the server: %v", messages, err)
	}
	var got int
	if err := c.count(limited(t), messages, func(int64) { got++ }); err != nil || got != messages {
		t.Errorf("%d messages from the server: %d, %v", messages, got, err)
	}
	s, err := c.chat(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range messages / 4 {
		if err := s.send([]byte("ping")); err != nil {
			_, cause := s.receive()
			t.Fatalf("sending message %d: %v: %v", i, err, cause)
		}
		if _, err := s.receive(); err != nil {
			t.Fatalf("receiving message %d: %v", i, err)
		}
	}
	if err := s.closeSend(); err != nil {
		t.Error(err)
	}
	if _, err := s.receive(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, want io.EOF", err)
	}
}

func testAtOnce(t *testing.T, c caller, _ *echo) {
	const calls = 1000
	ctx := limited(t)
	errs := make(chan error, calls)
	var all sync.WaitGroup
	for i := range calls {
		all.Go(func() {
			want := fmt.Appendf(nil, "call %d", i)
			got, err := c.say(ctx, want, "")
			if err == nil && !bytes.Equal(got.body, want) {
				err = fmt.Errorf("received %q, want %q", got.body, want)
			}
			if err != nil {
				errs <- err
			}
		})
	}
	all.Wait()
	close(errs)
	if n := len(errs); n > 0 {
		t.Errorf("%d of %d calls failed, the first with %v", n, calls, <-errs)
	}
}

func testDeadline(t *testing.T, c caller, e *echo) {
	e.forget()
	var ctx context.Context
	var err error
	for limit := 300 * time.Millisecond; ; limit *= 5 { // a busy machine may need more until the call is there
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(t.Context(), limit)
		err = c.wait(ctx)
		cancel()
		if len(e.waiting) > 0 || limit > patience {
			break
		}
	}
	// grpc-go's server knows the deadline too, rounded down, and may reset the stream before the
	// client's timer has run.
	deadline, _ := ctx.Deadline()
	byServer := errors.Is(err, frame.Cancel) && time.Until(deadline) < 10*time.Millisecond
	if got := c.explain(err).code; got != codes.DeadlineExceeded && !byServer {
		t.Errorf("the call ended with %v (%v), want DeadlineExceeded", got, err)
	}
	if got := e.waitEnded(t); got.err == nil || !got.hasDeadline {
		t.Errorf("the context of the handler ended with %v; it had a deadline: %t", got.err, got.hasDeadline)
	}
}

func testCancel(t *testing.T, c caller, e *echo) {
	e.forget()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.wait(ctx) }()
	e.waitBegun(t)
	cancel()
	if err := <-ended; c.explain(err).code != codes.Canceled {
		t.Errorf("the call ended with %v, want Canceled", err)
	}
	if got := e.waitEnded(t); !errors.Is(got.err, context.Canceled) || got.hasDeadline {
		t.Errorf("the context of the handler ended with %v; it had a deadline: %t", got.err, got.hasDeadline)
	}
}

// How the handler learns of it depends on the client: Connect's ends the request before it resets
// the stream.
func testCancelStream(t *testing.T, c caller, e *echo) {
	e.forget()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := c.chat(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.send([]byte("one")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.receive(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.receive(); c.explain(err).code != codes.Canceled {
		t.Errorf("the stream ended with %v, want Canceled", err)
	}
	e.waitEnded(t)
	// The connection has not suffered.
	if _, err := c.say(limited(t), []byte("still there"), ""); err != nil {
		t.Error(err)
	}
}

// message returns octets of which no two stretches are alike.
func message(size int) []byte { return random()[:size] }

var random = sync.OnceValue(func() []byte {
	b := make([]byte, 8<<20)
	rand.NewChaCha8([32]byte([]byte("sluice rpc conformance, 32 bytes"))).Read(b)
	return b
})
