package proxydial

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/syntax"
)

const (
	// maxErrorBody is how much of a refusal's body is kept, in octets.
	maxErrorBody = 1 << 10
	// maxDrain is how much of it is read so that the connection can be used again, in octets.
	maxDrain = 64 << 10
	// bodyTimeout bounds the wait for the body of a refusal.
	bodyTimeout = 2 * time.Second
)

// overHTTP1 sends the request on nc, which it closes when there is no tunnel. The error is errAgain
// where the request is to be sent on another connection.
func (x *exchange) overHTTP1(ctx context.Context, nc net.Conn) (net.Conn, error) {
	ctx, cancel := x.d.withAnswerTimeout(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { closeRaw(nc) })
	r := bufio.NewReader(nc)
	err := x.askOverHTTP1(ctx, nc, r)
	switch done := !stop(); {
	case done:
		err = x.failed(nil, ctx.Err())
	case err == nil:
		return withEarly(nc, r), nil
	}
	closeRaw(nc)
	return nil, err
}

// askOverHTTP1 sends requests until one has opened the tunnel.
func (x *exchange) askOverHTTP1(ctx context.Context, nc net.Conn, r *bufio.Reader) error {
	for {
		req, err := x.request()
		if err != nil {
			return err
		}
		var head bytes.Buffer
		if err := req.Write(&head); err != nil {
			return err
		}
		if _, err := nc.Write(head.Bytes()); err != nil {
			return x.failed(nil, err)
		}
		resp, rest, err := readAnswer(r, req)
		if err != nil {
			return x.failed(resp, err)
		}
		if f := x.d.OnResponse; f != nil {
			if err := f(ctx, req, resp); err != nil {
				return err
			}
		}
		if ok, err := x.opened(resp); ok {
			return nil
		} else if err != nil {
			return x.failed(resp, err)
		}
		again, err := x.answerChallenge(ctx, resp)
		if err != nil {
			return err
		}
		reusable := canReuse(resp)
		refusal := x.refused(resp, func() { closeRaw(nc) }, reusable && again, !again)
		switch {
		case !again:
			return refusal
		case refusal.Err != nil || !reusable || rest.Buffered()+r.Buffered() > 0:
			if x.round > 1 {
				return refusal // the rounds of an authentication are bound to the connection
			}
			return errAgain
		}
	}
}

// canReuse reports whether the proxy keeps the connection after its response.
func canReuse(resp *http.Response) bool {
	return resp.ProtoAtLeast(1, 1) && !resp.Close && !syntax.HasToken(resp.Header["Proxy-Connection"], "close")
}

// refused returns the error of a response that is not 2xx, with the beginning of its body where
// that is wanted. With drain the body is read to its end, and Err says why that was not possible.
// interrupt ends a Read of the body that takes too long.
func (x *exchange) refused(resp *http.Response, interrupt func(), drain, wanted bool) *Error {
	e := x.failed(resp, nil)
	if !drain && !wanted {
		return e
	}
	defer time.AfterFunc(bodyTimeout, interrupt).Stop()
	var err error
	e.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if !drain {
		return e
	}
	if err == nil {
		var n int64
		if n, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxDrain)); n == maxDrain {
			err = errLongBody
		}
	}
	e.Err = err
	return e
}

var errLongBody = errors.New("the body of the answer is too long to read")

// failed returns the error of a request after which there is no tunnel. resp may be nil.
func (x *exchange) failed(resp *http.Response, err error) *Error {
	e := &Error{Addr: x.d.Proxy.Host, Target: x.target, Err: err}
	if resp != nil {
		e.StatusCode, e.Header = resp.StatusCode, resp.Header
		e.ProxyStatus = proxyStatus(resp.Header)
	}
	return e
}

// request returns the request as HTTP/1.1 has it.
func (x *exchange) request() (*http.Request, error) {
	h, err := x.fields()
	if err != nil {
		return nil, err
	}
	if x.udpPath != "" {
		return x.udpRequest(h), nil
	}
	return &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: x.target}, Host: x.target, Header: h}, nil
}

// withEarly returns nc, with what the proxy has sent behind its answer before what it sends now.
func withEarly(nc net.Conn, r *bufio.Reader) net.Conn {
	if r.Buffered() == 0 {
		return nc
	}
	early, _ := r.Peek(r.Buffered())
	return &netconn.PrefixedStream{Prefixed: netconn.Prefixed{Conn: nc, Prefix: early}}
}
