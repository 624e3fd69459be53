package client

import (
	"net/http"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
)

// awaitResponse waits for the response. After an error the exchange has finished.
func (x *exchange) awaitResponse() (*http.Response, error) {
	head, err := x.awaitHead()
	if err != nil {
		return nil, err
	}
	return x.responseFor(head), nil
}

// awaitHead waits for the head of the response, and makes x.resp of it. After an error the exchange
// has finished.
func (x *exchange) awaitHead() (conn.ResponseHead, error) {
	head, err := x.stream.AwaitHead()
	if err == nil && head.TooLarge {
		err = &frame.StreamError{StreamID: x.stream.ID(), Code: frame.ProtocolError, Cause: errHeaderTooLarge}
	}
	x.mu.Lock()
	x.mu.headSeen = true
	x.mu.Unlock()
	if err != nil {
		return head, x.fail(err)
	}
	x.firstByteGuarded()
	if x.cc.t.responseHeaderTimeout() > 0 {
		_ = x.stream.SetReadDeadline(time.Time{}) // the deadline was for the head; fails only on a stream that has ended
	}
	x.makeResponse(head)
	if x.cc.t.AltSvcHandler != nil {
		x.altSvcField(head.Fields)
	}
	if x.isMisdirected() {
		return head, nil
	}
	x.markFinal()
	if head.Status >= 300 {
		x.stopUpload()
	}
	return head, nil
}

// isMisdirected reports whether the server answers 421 to a request for another origin than the one
// that the connection was made for.
func (x *exchange) isMisdirected() bool {
	return x.coalesced && x.resp.StatusCode == http.StatusMisdirectedRequest
}

// stopUpload ends the sending of a request that the server has answered with a status of 300 or
// more: it needs no more of the request.
func (x *exchange) stopUpload() {
	if x.req.Body == nil {
		return
	}
	x.mu.Lock()
	x.mu.answeredEarly = true
	sent := x.mu.uploadEnded
	x.mu.Unlock()
	if x.upload != nil && !sent {
		x.upload.stop()
	}
}

// responseFor returns the response, of which head has come.
func (x *exchange) responseFor(head conn.ResponseHead) *http.Response {
	if head.NoBody {
		x.responseDone()
	} else if head.Complete && x.upload == nil && x.stopWatch != nil {
		x.stopWatch() // nothing is left that could be cancelled
	}
	return &x.resp
}
