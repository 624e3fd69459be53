package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// timeoutLead is how much later than the context's deadline the timer of http.Client.Timeout may
// fire.
const timeoutLead = 50 * time.Millisecond

// awaitTimeout returns what a request that failed with err is to report.
//
// http.Client bounds a request by Timeout in two ways: a deadline of the context, and a timer that
// closes Request.Cancel. It says that Timeout was exceeded only where the timer fires first, so an
// error by the deadline waits here for the timer. Where both have ended, the error is the
// context's, as from an http.Transport.
func awaitTimeout(req *http.Request, err error) error {
	cancel := req.Cancel //nolint:staticcheck // deprecated, and part of the contract
	if err == nil || cancel == nil {
		return err
	}
	ctx := req.Context()
	if strings.HasPrefix(err.Error(), errRequestCanceled.Error()) { // net/http has its own error with this text
		if at, ok := ctx.Deadline(); ok && !time.Now().Before(at) {
			return context.DeadlineExceeded
		}
		return err
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		timer := time.NewTimer(timeoutLead)
		defer timer.Stop()
		select {
		case <-cancel:
		case <-timer.C:
		}
	}
	return err
}

// awaitTimeoutOfBody has a response's body that net/http reads wait as awaitTimeout does. A body of
// HTTP/2 does so itself, and a connection that was switched to another protocol has methods of its
// own.
func awaitTimeoutOfBody(req *http.Request, resp *http.Response) *http.Response {
	cancel := req.Cancel //nolint:staticcheck // deprecated, and part of the contract
	if cancel == nil || resp.ProtoMajor != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
		return resp
	}
	if _, ok := req.Context().Deadline(); ok && resp.Body != http.NoBody {
		resp.Body = &timedBody{resp.Body, req}
	}
	return resp
}

// timedBody is the body of an HTTP/1.1 response that Request.Cancel may end.
type timedBody struct {
	io.ReadCloser
	req *http.Request
}

// Read reads the body, and after an error waits as awaitTimeout does.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !isEOF(err) {
		err = awaitTimeout(b.req, err)
	}
	return n, err
}
