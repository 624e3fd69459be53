package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
)

// retryState counts the attempts of one request.
type retryState struct {
	// notOpened counts attempts that found the connection out of service before a stream was
	// opened. They cost the server nothing.
	notOpened int
	attempts  int // all others, and those beyond maxNotOpened
}

// maxNotOpened bounds the attempts that do not count towards Transport.MaxAttempts.
const maxNotOpened = 64

// failed counts an attempt that ended with err.
func (n *retryState) failed(err error) {
	if isNotOpened(err) && n.notOpened < maxNotOpened {
		n.notOpened++
	} else {
		n.attempts++
	}
}

// isNotOpened reports whether err came before a stream was opened, because the connection takes no
// more requests, or allows fewer streams than were assumed when this one was reserved.
func isNotOpened(err error) bool {
	var se *frame.StreamError
	return (errors.Is(err, core.ErrNoMoreStreams) || errors.Is(err, core.ErrNoStream)) && !errors.As(err, &se)
}

// afterError returns the target for another attempt, after one that ended with err. A server that
// has refused a stream may allow fewer than were assumed.
func (t *Target) afterError(err error) *Target {
	if t.wasRefused || !errors.Is(err, frame.RefusedStream) {
		return t
	}
	next := *t
	next.wasRefused = true
	return &next
}

// prepareRetry prepares another attempt after one that has failed with err, where the server has
// not processed that (RFC 9113 §8.7), and returns the body for it. The error is nil, or the one
// that RoundTrip returns because there is no other attempt.
func (t *Transport) prepareRetry(
	req *http.Request,
	body *replayBody,
	err error,
	state *retryState,
) (*replayBody, error) {
	state.failed(err)
	var ce *Error
	if !errors.As(err, &ce) || !ce.Unprocessed || state.attempts >= t.maxAttempts() {
		return nil, err
	}
	if body != nil {
		nextBody, bodyErr := body.forRetry(req)
		switch {
		case errors.Is(bodyErr, errNotBuffered):
			return nil, errNotReplayed(err, bodyErr)
		case bodyErr != nil:
			return nil, fmt.Errorf("%w: %w", bodyErr, err)
		}
		body = nextBody
	}
	if err := backoff(req.Context(), err, state.attempts); err != nil {
		if body != nil {
			body.close(false) // GetBody may have given it, and the caller knows only the one before
		}
		return nil, err
	}
	return body, nil
}

// backoff waits before another attempt, the nth. It does not before the first, nor where the server
// only moves on to another connection.
func backoff(ctx context.Context, err error, n int) error {
	if n <= 1 || isNotOpened(err) {
		return ctx.Err()
	}
	d := backoffUnit << min(n-2, 8)
	timer := time.NewTimer(d + rand.N(d/4))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// backoffUnit is the wait before the second repetition; before each further one it doubles.
const backoffUnit = 10 * time.Millisecond

// wantsHTTP1 reports whether err says that the server wants HTTP/1.1, and that may be spoken.
func (t *Transport) wantsHTTP1(err error, target *Target) bool {
	if target.Scheme != "https" || !t.protocols().HTTP1() {
		return false
	}
	var se *frame.StreamError
	if errors.As(err, &se) && se.Initiator == frame.Remote && se.Code == frame.HTTP11Required {
		return true
	}
	return wrongProtocol(err) || errors.Is(err, ErrHTTP1)
}

// retryHTTP1 has net/http send the request, after the error err of the pool or of the server.
func (t *Transport) retryHTTP1(req *http.Request, body *replayBody, target *Target, err error) (*http.Response, error) {
	http1Only := !errors.Is(err, ErrHTTP1) // the server, or its version of TLS, refuses HTTP/2, which ALPN has chosen
	t.h1.remember(target.Key, http1Only)
	if !http1Only || wrongProtocol(err) { // GetConn was called, and nothing was sent
		same := *target
		same.getConnCalled = true
		target = &same
	}
	var out io.ReadCloser
	if body != nil {
		var err error
		if out, err = body.detach(req); err != nil {
			body.close(false)
			return nil, fmt.Errorf("%w: %w", err, frame.HTTP11Required)
		}
	}
	if !http1Only && t.once.ownPool != nil {
		resp, err := t.sendHTTP1(req, out, target, false)
		if !wrongProtocol(err) {
			return resp, err
		}
		if t.h1.forget(target.Key); errors.Is(err, errIsHTTP2) { // dialHTTP1 has given the connection to the pool
			retry := *req
			retry.Body = out
			resp, err := t.roundTrip(&retry, target)
			if err == nil {
				resp.Request = req
			}
			return resp, err
		}
	}
	return t.onlyHTTP1(req, out, target)
}

// handBack returns the error that has net/http send a request on another connection. net/http has
// the first body only, so where that was read, it is given a copy of the whole body. Where there is
// no such copy, the request fails with the error of the last attempt, since net/http would say no
// more than that it cannot rewind the body. changed says that body is not the first one.
func handBack(req *http.Request, body *replayBody, changed bool, lastErr error) error {
	if body == nil || !changed && !body.hasStarted() {
		return errNoCached
	}
	complete := body.bufferAll(req.Context())
	if complete {
		req.GetBody = body.replayAll // the request is a copy that net/http has made
	}
	body.close(false)
	if !complete && body.getBody == nil && lastErr != nil {
		return errNotReplayed(lastErr, errNotComplete)
	}
	return errNoCached
}

// errNotReplayed is net/http's error for a request whose body cannot be sent again.
func errNotReplayed(attempt, why error) error {
	return fmt.Errorf("http2: Transport: cannot retry err [%w] after Request.Body was written; "+
		"define Request.GetBody to avoid this error: %w", attempt, why)
}
