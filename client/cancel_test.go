package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// spyBody is a request body that records how it is used.
type spyBody struct {
	io.Reader
	mu     sync.Mutex
	closes int
	late   bool          // it was read after Close had returned
	block  chan struct{} // if set, Read waits for Close
}

func (b *spyBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.late = b.late || b.closes > 0
	b.mu.Unlock()
	if b.block != nil {
		<-b.block
		return 0, errors.New("closed while reading")
	}
	return b.Reader.Read(p)
}

func (b *spyBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closes++
	if b.block != nil && b.closes == 1 {
		close(b.block)
	}
	return nil
}

// check fails unless the body was closed once and not used afterwards.
func (b *spyBody) check(t *testing.T) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closes != 1 || b.late {
		t.Errorf("closed %d times, read after Close: %v", b.closes, b.late)
	}
}

func waitingBody() *spyBody { return &spyBody{block: make(chan struct{})} }

// endless is a reader without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

var cancelTests = map[string]func(*http.Request) (*http.Request, func()){
	"context": func(r *http.Request) (*http.Request, func()) {
		ctx, cancel := context.WithCancel(context.Background())
		return r.WithContext(ctx), cancel
	},
	"deadline": func(r *http.Request) (*http.Request, func()) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		return r.WithContext(ctx), func() { time.Sleep(time.Second); cancel() }
	},
	"Request.Cancel": func(r *http.Request) (*http.Request, func()) {
		c := make(chan struct{})
		r.Cancel = c //nolint:staticcheck // part of the contract
		return r, func() { close(c) }
	},
}

// Every way to cancel, at every stage, leaves nothing behind: the server gets one RST_STREAM, and
// no goroutine is left, which the bubble checks.
func TestCancel(t *testing.T) {
	bodies := map[string]func() *spyBody{
		"none":    func() *spyBody { return nil },
		"waiting": waitingBody,
		"endless": func() *spyBody { return &spyBody{Reader: endless{}} },
	}
	for wayName, way := range cancelTests {
		for bodyName, newBody := range bodies {
			for _, stage := range []string{"head", "body"} {
				t.Run(wayName+"/"+bodyName+"/"+stage, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						f := newTestDialer(t)
						var rd io.Reader
						spy := newBody()
						if spy != nil {
							rd = spy
						}
						req, giveUp := way(newRequest(t, "POST", testURL, rd))
						r := startOn(t, f.tr, req)
						p := f.accept()
						p.request()
						synctest.Wait()
						var err error
						if stage == "head" {
							giveUp()
							<-r.done
							err = r.err
						} else {
							p.send(h2test.Response(1, 200))
							resp := r.response()
							p.send(h2test.Data(1, "part"))
							synctest.Wait()
							giveUp()
							synctest.Wait()
							_, err = io.ReadAll(resp.Body)
							_ = resp.Body.Close()
						}
						if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) &&
							!errors.Is(err, errRequestCanceled) {
							t.Errorf("the error is %v", err)
						}
						p.wantReset(1, frame.Cancel)
						if spy != nil {
							spy.check(t)
						}
						// The connection is as good as before.
						r = f.get()
						if h := p.nextRequest(); h.StreamID != 3 {
							t.Errorf("stream %d", h.StreamID)
						}
						p.send(h2test.Response(3, 204).End())
						r.response()
						f.close()
						_ = p.nc.Close()
					})
				})
			}
		}
	}
}

// A request that was given up without a word from the server has it asked whether it is there, so
// that the next requests need not wait as long.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		r := f.get()
		p := f.accept()
		p.request()
		p.send(h2test.Response(1, 204).End())
		r.response()
		r = f.get()
		p.request()
		r.stop()
		r.wantErr(context.Canceled)
		p.wantReset(3, frame.Cancel)
		if _, ok := p.next().(frame.Ping); !ok {
			t.Error("no PING")
		}
		r = f.get()
		start := time.Now()
		r.wantErr(frame.NoError)
		if d := time.Since(start); d != 15*time.Second {
			t.Errorf("it took %v to find out", d)
		}
		f.close()
	})
}

// A context that has ended before, and while a connection is made.
func TestCancelEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		ctx, cancel := context.WithCancel(t.Context())
		spy := &spyBody{Reader: strings.NewReader("x")}
		r := f.start(newRequest(t, "POST", testURL, spy).WithContext(ctx))
		p := f.accept()
		p.request()
		p.send(h2test.Response(1, 204).End())
		r.response()
		cancel()
		spy = &spyBody{Reader: strings.NewReader("x")}
		r = f.start(newRequest(t, "POST", testURL, spy).WithContext(ctx))
		r.wantErr(context.Canceled)
		spy.check(t)
		if f := memconn.Below(p.nc).Buffered(); f != 0 {
			t.Error("something was sent")
		}
		f.close()
		_ = p.nc.Close()
	})
}

// Closing the body of a response ends the exchange, and wakes a Read.
func TestCloseBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		spy := waitingBody()
		r := f.start(newRequest(t, "POST", testURL, spy))
		p := f.accept()
		p.request()
		p.send(h2test.Response(1, 200))
		resp := r.response()
		read := make(chan error)
		go func() {
			_, err := resp.Body.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		_ = resp.Body.Close()
		if err := <-read; !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("Read: %v", err)
		}
		_ = resp.Body.Close()
		p.wantReset(1, frame.Cancel)
		spy.check(t)
		f.close()
		_ = p.nc.Close()
	})
}

// A response that ends early lets the request go on, until the server resets the stream with
// NO_ERROR; neither is an error of the response (RFC 9113 §8.1).
func TestEarlyResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		pr, pw := io.Pipe()
		r := f.start(newRequest(t, "POST", testURL, pr))
		p := f.accept()
		p.request()
		p.send(h2test.Response(1, 200), h2test.DataEnd(1, "early"))
		resp := r.response()
		b, err := io.ReadAll(resp.Body)
		if string(b) != "early" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		if _, err := pw.Write([]byte("more")); err != nil {
			t.Errorf("the request does not go on: %v", err)
		}
		if d, ok := p.next().(frame.Data); !ok || string(d.Data) != "more" {
			t.Errorf("got %v", d)
		}
		p.send(h2test.RST(1, frame.NoError))
		synctest.Wait()
		if _, err := pw.Write([]byte("x")); err == nil {
			t.Error("the body is still read")
		}
		_ = resp.Body.Close()
		f.close()
		_ = p.nc.Close()
	})
	synctest.Test(t, func(t *testing.T) { // all at once, before the head is seen
		f := newTestDialer(t)
		spy := &spyBody{Reader: endless{}}
		r := f.start(newRequest(t, "POST", testURL, spy))
		p := f.accept()
		p.request()
		p.send(h2test.Response(1, 413), h2test.DataEnd(1, "too much"), h2test.RST(1, frame.NoError))
		if got := readAll(t, r.response()); got != "too much" {
			t.Errorf("%q", got)
		}
		spy.check(t)
		f.close()
		_ = p.nc.Close()
	})
}

// When the connection is lost during an upload, the reader of the response gets that error, and not
// that of the request's body, which is closed because of it.
func TestConnectionLostDuringUpload(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			f := newTestDialer(t)
			pr, _ := io.Pipe()
			r := f.start(newRequest(t, "POST", testURL, pr))
			p := f.accept()
			p.request()
			p.send(h2test.Response(1, 200), h2test.Data(1, "begun"))
			resp := r.response()
			p.send(h2test.GoAway(1, frame.InternalError, ""))
			_ = p.nc.Close()
			_, err := io.ReadAll(resp.Body)
			var e *Error
			if !errors.As(err, &e) || errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("the body ends with %v", err)
			}
			_ = resp.Body.Close()
			f.close()
		})
	}
}

// Both directions at the same time, octet by octet.
func TestFullDuplex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			_ = rc.Flush()
			buf := make([]byte, 100)
			for {
				n, err := r.Body.Read(buf)
				_, _ = w.Write(bytes.ToUpper(buf[:n]))
				_ = rc.Flush()
				if err != nil {
					return
				}
			}
		}))
		tr := s.transport()
		pr, pw := io.Pipe()
		resp, err := tr.RoundTrip(newRequest(t, "POST", testURL, pr))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"one", "two", "three"} {
			_, _ = pw.Write([]byte(word))
			buf := make([]byte, 10)
			n, err := resp.Body.Read(buf)
			if string(buf[:n]) != strings.ToUpper(word) || err != nil {
				t.Errorf("%q, %v", buf[:n], err)
			}
		}
		_ = pw.Close()
		if got := readAll(t, resp); got != "" {
			t.Errorf("%q", got)
		}
		s.stop(tr)
	})
}

// A body that fails, is too long or too short fails the request.
func TestBadRequestBodies(t *testing.T) {
	errBody := errors.New("body failed")
	tests := []struct {
		name   string
		body   io.Reader
		length int64
		want   error
	}{
		{"fails", io.MultiReader(strings.NewReader("x"), &failingReader{errBody}), 0, errBody},
		{"too long", streamOnly{strings.NewReader("12345")}, 4, errBodyTooLong},
		{"too short", streamOnly{strings.NewReader("12345")}, 6, errBodyTooShort},
		{"too short, in memory", strings.NewReader("12345"), 6, errBodyTooShort},
		{"too long, in memory", strings.NewReader("12345"), 4, errBodyTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTestServer(
					t,
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }),
				)
				tr := s.transport()
				req := newRequest(t, "POST", testURL, tt.body)
				req.ContentLength = tt.length
				_, err := tr.RoundTrip(req)
				if !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				s.stop(tr)
			})
		})
	}
}

type failingReader struct{ err error }

func (r *failingReader) Read([]byte) (int, error) { return 0, r.err }
