package client

import (
	"errors"
	"net/http"
	"net/http/httptrace"
)

// The way of a request out:
//
//  1. Transport.RoundTrip (transport.go) leaves a scheme of RegisterProtocol to its transport. send
//     checks the request (request.go), finds its Target (dial.go), and leaves HTTP/1.1 to net/http
//     (http1.go).
//  2. roundTrip looks for a pushed response (push_match.go) and makes a replayBody of the request's
//     body (replay_body.go). What follows is one attempt, of which there may be several.
//  3. reserveConn gets a connection with a reserved stream from the pool (pool.go), which dials
//     where there is none (pool_dial.go, dial.go).
//  4. ClientConn.open (clientconn_roundtrip.go) makes an exchange, which is the attempt.
//     exchange.send (exchange_send.go) makes the fields (request.go) and opens the stream: package
//     conn writes HEADERS, with the body where that is small and in memory.
//  5. Any other body is sent by a goroutine of its own (upload.go).
//  6. exchange.watch (exchange_cancel.go) has the end of the request's context reset the stream.
//
// The way of the response in:
//
//  7. exchange.awaitResponse (exchange_response.go) waits in conn.Stream.AwaitHead. Interim
//     responses go to hooks and to the upload meanwhile (exchange_trace.go).
//  8. makeResponse (response.go) makes the http.Response. From now on the request is not sent
//     again, but for a 421 on a connection to another origin (coalesce.go).
//  9. The caller reads and closes the responseBody (body.go). When response and upload have ended,
//     exchange.finish gives the stream back.
//
// After an attempt without a response, prepareRetry (retry.go) decides whether there is another.

// roundTrip sends a request with HTTP/2, in as many attempts as are needed and safe.
func (t *Transport) roundTrip(req *http.Request, target *Target) (*http.Response, error) {
	if t.PushCache != nil {
		if resp, err, ok := t.matchPush(req, target, nil); ok {
			return resp, err
		}
	}
	trace := httptrace.ContextClientTrace(req.Context())
	body := newReplayBody(req, t.replayBuffer())
	firstBody := body
	var state retryState
	var lastErr error // of the attempt before
	for {
		resp, err := t.attempt(req, target, body, trace)
		if err == nil {
			return resp, nil
		}
		if m, ok := err.(*misdirected); ok { //nolint:errorlint // as attempt has made it
			nextBody, ok := m.retryOnOwnConn(req, body)
			if !ok {
				return m.resp, nil
			}
			own := *target
			own.ownConn = true
			target, body = &own, nextBody
			t.once.ownPool.removeOrigin(m.x.cc, own.Key)
			t.counts.retries.Add(1)
			continue
		}
		if errors.Is(err, noCachedConnError{}) {
			return nil, handBack(req, body, body != firstBody, lastErr)
		}
		if t.wantsHTTP1(err, target) {
			return t.retryHTTP1(req, body, target, err)
		}
		nextBody, final := t.prepareRetry(req, body, err, &state)
		if final == nil {
			t.counts.retries.Add(1)
			body, lastErr = nextBody, err
			target = target.afterError(err)
			continue
		}
		if body != nil {
			body.close(false)
		}
		return nil, final
	}
}

// attempt gets a connection and sends the request on it once.
func (t *Transport) attempt(
	req *http.Request, target *Target, body *replayBody, trace *httptrace.ClientTrace,
) (*http.Response, error) {
	cc, err := t.reserveConn(req, target, trace)
	if err != nil {
		return nil, err
	}
	x, err := cc.open(req, body, trace, false)
	if err != nil {
		return nil, err
	}
	x.coalesced = cc.key != target.Key && t.coalesces()
	resp, err := x.awaitResponse()
	if err == nil && !cc.hadResponse.Load() {
		cc.hadResponse.Store(true)
	}
	if err == nil && x.isMisdirected() {
		return nil, &misdirected{x, resp}
	}
	return resp, err
}

// reserveConn gets a connection with a stream that is reserved for the request.
func (t *Transport) reserveConn(req *http.Request, target *Target, trace *httptrace.ClientTrace) (*ClientConn, error) {
	// Where net/http dials it has called the hook itself.
	if trace != nil && trace.GetConn != nil && !target.netHTTPDials && !target.getConnCalled {
		trace.GetConn(target.Addr)
	}
	if asksForConn(trace) {
		t.gotConnHookSeen.Store(true)
	}
	for {
		cc, err := t.once.pool.Get(req, target)
		switch {
		case err != nil:
			return nil, err
		case cc == nil:
			return nil, errNoConn
		case t.once.ownPool == nil && !cc.takeReserved():
			return nil, errNotReserved
		}
		if asksForConn(trace) && hidesConn(cc.c.NetConn()) {
			cc.retire() // the requests that run on it are not affected
			cc.unreserveSlot()
			continue
		}
		cc.gotConn(trace)
		return cc, nil
	}
}
