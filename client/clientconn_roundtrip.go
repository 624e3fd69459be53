package client

import (
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/sluice-go/sluice/internal/syntax"
)

// RoundTrip sends a request on this connection, whatever its URL says, and waits for a stream where
// none is available and Reserve was not called. It is never sent twice.
func (cc *ClientConn) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkRequest(req); err != nil {
		cc.Release()
		closeBody(req)
		return nil, err
	}
	if cc.t.PushCache != nil {
		if resp, err, ok := cc.t.matchPush(req, nil, cc); ok {
			cc.Release()
			return resp, err
		}
	}
	if err := cc.awaitSlot(req); err != nil {
		closeBody(req)
		return nil, err
	}
	trace := httptrace.ContextClientTrace(req.Context())
	cc.gotConn(trace)
	body := newReplayBody(req, -1)
	resp, err := cc.roundTripOnce(req, body, trace)
	if err != nil && body != nil {
		body.close(false)
	}
	return resp, awaitTimeout(req, err)
}

// roundTripOnce sends a request once, for which a slot is reserved, and waits for the response.
func (cc *ClientConn) roundTripOnce(
	req *http.Request,
	body *replayBody,
	trace *httptrace.ClientTrace,
) (*http.Response, error) {
	x, err := cc.open(req, body, trace, false)
	if err != nil {
		return nil, err
	}
	return x.awaitResponse()
}

// open sends a request once, for which a slot is reserved. With tunnel, the stream is left open to
// be sent on.
func (cc *ClientConn) open(
	req *http.Request, body *replayBody, trace *httptrace.ClientTrace, tunnel bool,
) (*exchange, error) {
	ctx := req.Context()
	err := ctx.Err()
	if err == nil {
		err = cc.awaitConnectProtocol(req)
	}
	if err != nil {
		cc.unreserveSlot()
		return nil, err
	}
	sent := false
	cc.hadRequest.Store(true)
	cc.t.counts.requests.Add(1)
	x := &exchange{cc: cc, req: req, trace: trace, gzip: wantsGzip(cc.t, req)}
	x.priority, _ = ctx.Value(priorityKey{}).(*requestPriority)
	if trace != nil {
		defer func() {
			if !sent { // a hook has ended this goroutine
				cc.slotUsed(nil)
			}
		}()
	}
	err = x.send(body, tunnel)
	sent = true
	cc.slotUsed(err)
	if err != nil {
		if isUnprocessed(err) {
			err = &Error{Addr: cc.addr, Unprocessed: true, Err: err}
		}
		return nil, err
	}
	if req.Close || syntax.HasToken(req.Header["Connection"], "close") {
		cc.retire()
	}
	x.watch(ctx)
	return x, nil
}

// wantsGzip reports whether to ask for a compressed response: not where the user might have to
// decompress it, nor for a tunnel.
func wantsGzip(t *Transport, req *http.Request) bool {
	return !t.disableCompression() && len(req.Header["Accept-Encoding"]) == 0 && len(req.Header["Range"]) == 0 &&
		req.Method != http.MethodHead && req.Method != http.MethodConnect
}

// gotConn calls the hook GotConn. A slot is reserved, which is given back if the hook does not
// return.
func (cc *ClientConn) gotConn(trace *httptrace.ClientTrace) {
	if trace == nil || trace.GotConn == nil {
		return
	}
	info := httptrace.GotConnInfo{Conn: cc.c.NetConn(), Reused: cc.hadRequest.Load()}
	if since := cc.c.IdleSince(); info.Reused && !since.IsZero() {
		info.WasIdle, info.IdleTime = true, time.Since(since)
	}
	callHook(func() { trace.GotConn(info) }, cc.unreserveSlot)
}
