package client

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// uploadTo starts an upload without end, and sends a response's head when some of it has come.
func uploadTo(t *testing.T, f *testDialer, status int, end bool) (*peer, *spyBody, *http.Response) {
	spy := &spyBody{Reader: endless{}}
	r := f.start(newRequest(t, "POST", testURL, spy))
	p := f.accept()
	p.request()
	synctest.Wait() // until the window is full
	h := h2test.Response(1, status)
	h.EndStream = end
	p.send(h)
	return p, spy, r.response()
}

// wantNoData opens the window and makes sure that no DATA comes before the answer to a PING.
func (p *peer) wantNoData(id uint32, why string) {
	p.t.Helper()
	synctest.Wait()
	p.skipData(id)
	p.send(frame.WindowUpdate{Increment: 1 << 20}, frame.WindowUpdate{StreamID: id, Increment: 1 << 20})
	synctest.Wait()
	p.send(frame.Ping{Data: [8]byte{2}})
	for {
		switch f := p.next().(type) {
		case frame.Ping:
			if f.Ack && f.Data == [8]byte{2} {
				return
			}
		case frame.Data:
			p.t.Errorf("%s: %d octets of DATA", why, len(f.Data))
		case nil:
			p.t.Fatal("the connection has ended")
		}
	}
}

// skipData passes over what was sent before.
func (p *peer) skipData(id uint32) {
	p.t.Helper()
	p.send(frame.Ping{Data: [8]byte{1}})
	for {
		switch f := p.next().(type) {
		case frame.Ping:
			if f.Ack && f.Data == [8]byte{1} {
				return
			}
		case nil:
			p.t.Fatalf("the connection has ended on stream %d", id)
		}
	}
}

// A server that answers with a status of 300 or more has no use for the rest of the request (as
// net/http has it): the upload ends at once, and the response can be read to its end.
func TestErrorResponseEndsUpload(t *testing.T) {
	for _, status := range []int{300, 307, 401, 413, 500} {
		synctest.Test(t, func(t *testing.T) {
			f := newTestDialer(t)
			p, spy, resp := uploadTo(t, f, status, true)
			p.wantReset(1, frame.NoError)
			spy.check(t)
			if b := readAll(t, resp); b != "" || resp.StatusCode != status {
				t.Errorf("%d, %q", resp.StatusCode, b)
			}
			p.wantNoData(1, "after the response")
			f.close()
			_ = p.nc.Close()
		})
		synctest.Test(t, func(t *testing.T) {
			f := newTestDialer(t)
			p, spy, resp := uploadTo(t, f, status, false)
			spy.check(t)
			p.wantNoData(1, "during the response")
			p.send(h2test.DataEnd(1, "why"))
			if b := readAll(t, resp); b != "why" {
				t.Errorf("%q", b)
			}
			p.wantReset(1, frame.NoError)
			f.close()
			_ = p.nc.Close()
		})
	}
}

// The same where the upload waits in the user's Read, which only Close ends, and where the response
// is closed unread.
func TestErrorResponseEndsWaitingUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		spy := waitingBody()
		r := f.start(newRequest(t, "POST", testURL, spy))
		p := f.accept()
		p.request()
		synctest.Wait()
		p.send(h2test.Response(1, 403))
		resp := r.response()
		spy.check(t)
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		p.wantReset(1, frame.Cancel)
		f.close()
		_ = p.nc.Close()
	})
}

// With 2xx the server may want the rest, though its response is over. Body.Close ends the upload.
func TestCloseEndsUploadAfterResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		p, spy, resp := uploadTo(t, f, 200, true)
		p.skipData(1)
		p.send(frame.WindowUpdate{Increment: 1 << 10}, frame.WindowUpdate{StreamID: 1, Increment: 1 << 10})
		if d, ok := p.next().(frame.Data); !ok || len(d.Data) == 0 {
			t.Errorf("the upload does not go on: %v", d)
		}
		for range 2 {
			if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || !isEOF(err) {
				t.Errorf("Read: %d, %v", n, err)
			}
		}
		_ = resp.Body.Close()
		p.wantReset(1, frame.Cancel)
		spy.check(t)
		p.wantNoData(1, "after Close")
		f.close()
		_ = p.nc.Close()
	})
}

// A server that ends the upload itself, with RST_STREAM(NO_ERROR) behind its response (RFC 9113
// §8.1).
func TestServerEndsUploadAfterResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		p, spy, resp := uploadTo(t, f, 200, false)
		p.send(h2test.DataEnd(1, "enough"), h2test.RST(1, frame.NoError))
		synctest.Wait()
		if b := readAll(t, resp); b != "enough" {
			t.Errorf("%q", b)
		}
		spy.check(t)
		f.close()
		_ = p.nc.Close()
	})
}

// bodyWithSignal closes a channel when it is closed, and panics when it is closed again.
type bodyWithSignal struct {
	io.Reader
	closed chan struct{}
}

func (b *bodyWithSignal) Close() error {
	close(b.closed)
	return nil
}

// The stream of an upload that has failed dies at the moment at which its response is returned: the
// body is closed whichever of the two comes first.
func TestStreamEndsAsResponseComes(t *testing.T) {
	for _, responseFirst := range []bool{false, true} {
		body := &bodyWithSignal{strings.NewReader("body"), make(chan struct{})}
		x := new(exchange)
		r := newReplayBody(newRequest(t, "POST", testURL, body), 0).newReader()
		x.upload = &upload{x: x, r: r, streamDone: make(chan struct{})}
		x.upload.closeBody(errSuperseded) // the upload ends before there is a response

		x.mu.Lock() // onStreamEnd cannot find out yet whether there is one
		ended := make(chan struct{})
		go func() {
			x.onStreamEnd(nil)
			close(ended)
		}()
		select {
		case <-x.upload.streamDone:
		case <-time.After(10 * time.Second):
			t.Error("whether there is a response was to be known before the end of the stream was")
		}
		x.mu.Unlock()
		if !responseFirst {
			<-ended
		}
		x.markFinal()
		<-ended
		select {
		case <-body.closed:
		case <-time.After(10 * time.Second):
			t.Error("the body was not closed")
		}
	}
}
