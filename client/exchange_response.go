package client

import (
	"net/http"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
)

// awaitResponse waits for the response.
func (x *exchange) awaitResponse() (*http.Response, error) {
	head, err := x.awaitHead()
	if err != nil {
		return nil, err
	}
	return x.responseFor(head), nil
}

// awaitHead waits for the head of the response, of which it makes one. After an error the exchange
// is over.
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
		_ = x.stream.SetReadDeadline(time.Time{}) // it was for the head
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

// isMisdirected reports whether the response is one of a server that does not answer for the
// request's origin.
func (x *exchange) isMisdirected() bool {
	return x.coalesced && x.resp.StatusCode == http.StatusMisdirectedRequest
}

// stopUpload ends the sending of a request that the server has answered with a status of 300 or
// more: it has no use for the rest.
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

// responseFor follows when the head of the response has come.
func (x *exchange) responseFor(head conn.ResponseHead) *http.Response {
	if head.NoBody {
		x.responseDone()
	} else if head.Complete && x.upload == nil && x.stopWatch != nil {
		x.stopWatch() // there is nothing left that could be cancelled
	}
	return &x.resp
}
