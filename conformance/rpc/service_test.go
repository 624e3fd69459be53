package rpc

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// The service under test has one method of each kind, and two that end badly:
//
//	Say   BytesValue         → BytesValue          gives back what it got, and metadata as header and trailer
//	Fail  StringValue        → Empty               fails with the message, and the message again as a detail
//	Wait  Empty              → Empty               waits until its context is done
//	Count Int64Value         → stream Int64Value   counts from 1; to a negative number, and then fails
//	Sum   stream Int64Value  → Int64Value
//	Chat  stream BytesValue  → stream BytesValue   answers each message with itself
const serviceName = "sluice.conformance.v1.Echo"

// procedure is the path of a method.
func procedure(method string) string { return "/" + serviceName + "/" + method }

// Metadata of Say: the request's askKey comes back in the header as answerKey and in the trailer as
// lateKey.
const (
	askKey    = "x-ask"
	answerKey = "x-answer"
	lateKey   = "x-late"
)

const (
	failCode = codes.FailedPrecondition
	// failText has what the encoding of grpc-message has to escape.
	failText = "100 % größer\r\nthan that"
	// maxMessage is what one message may have, in octets: more than the largest that a test sends.
	maxMessage = 32 << 20
)

// A failure is an error that the service answers with.
type failure struct{ text string }

func (f *failure) Error() string { return f.text }

// echo is the service without any framework around it.
type echo struct {
	waiting chan struct{} // gets a value when Wait or Chat has begun, unless it is full
	ended   chan ending   // gets how Wait or Chat ended, unless it is full
}

// An ending is what a handler saw of the end of its call.
type ending struct {
	err         error // nil where the requests had an orderly end
	hasDeadline bool
}

func newEcho() *echo {
	return &echo{waiting: make(chan struct{}, 1), ended: make(chan ending, 1)}
}

func (e *echo) began() {
	select {
	case e.waiting <- struct{}{}:
	default:
	}
}

// over reports how a call ended.
func (e *echo) over(ctx context.Context, err error) {
	_, ok := ctx.Deadline()
	select {
	case e.ended <- ending{err, ok}:
	default:
	}
}

// forget drops what earlier calls have reported.
func (e *echo) forget() {
	for {
		select {
		case <-e.waiting:
		case <-e.ended:
		default:
			return
		}
	}
}

func (e *echo) wait(ctx context.Context) error {
	e.began()
	<-ctx.Done()
	e.over(ctx, ctx.Err())
	return ctx.Err()
}

func (e *echo) count(to int64, send func(int64) error) error {
	for i := int64(1); i <= max(to, -to); i++ {
		if err := send(i); err != nil {
			return err
		}
	}
	if to < 0 {
		return &failure{failText}
	}
	return nil
}

// chat answers until receive says io.EOF by done.
func (e *echo) chat(
	ctx context.Context,
	receive func() (b []byte, done bool, err error),
	send func([]byte) error,
) error {
	e.began()
	for {
		b, done, err := receive()
		switch {
		case done:
			e.over(ctx, nil)
			return nil
		case err != nil:
			e.over(ctx, err)
			return err
		}
		if err := send(b); err != nil {
			return err
		}
	}
}

// patience bounds each wait for something that takes a moment, or some seconds on a busy machine.
const patience = time.Minute

// waitEnded waits until the handler of a call that was given up has noticed.
func (e *echo) waitEnded(t *testing.T) ending {
	t.Helper()
	select {
	case got := <-e.ended:
		return got
	case <-time.After(patience):
		t.Error("the handler was not told that its call is over")
		return ending{}
	}
}

// waitBegun waits until a call has reached its handler.
func (e *echo) waitBegun(t *testing.T) {
	t.Helper()
	select {
	case <-e.waiting:
	case <-time.After(patience):
		t.Error("the call did not reach its handler")
	}
}
