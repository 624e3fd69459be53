package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// pattern returns octets of which no two pieces of a chunk's size are equal.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i>>10) ^ byte(i)
	}
	return p
}

// readerFunc is a body that is one function.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// gatedBody gives its first octets at once, and the rest when the gate is opened.
type gatedBody struct {
	data  []byte
	first int
	gate  chan struct{}
}

func (b *gatedBody) Read(p []byte) (int, error) {
	if b.first == 0 {
		<-b.gate
		b.first = len(b.data)
	}
	if len(b.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.data[:b.first])
	b.data, b.first = b.data[n:], b.first-n
	return n, nil
}

// wantBody reads the body of a request and compares it.
func (p *peer) wantBody(id uint32, want []byte) {
	p.t.Helper()
	var got []byte
	for end := false; !end; {
		switch f := p.next().(type) {
		case frame.Data:
			if f.StreamID == id {
				got = append(got, f.Data...)
				end = f.EndStream
			}
		case frame.RSTStream:
			if f.StreamID == id {
				p.t.Fatalf("the client has reset stream %d after %d octets: %v", id, len(got), f.Code)
			}
		case nil:
			p.t.Fatalf("the connection has ended after %d octets", len(got))
		}
	}
	if !bytes.Equal(got, want) {
		p.t.Errorf("%d octets, want %d; equal: %v", len(got), len(want), bytes.HasPrefix(want, got))
	}
}

// An attempt is refused while its upload waits in a Read that will give more than ReplayBuffer
// keeps: the next attempt sends these octets, too.
func TestReplayLateRead(t *testing.T) {
	for name, size := range map[string]int{"the end": 72 << 10, "more": 200 << 10} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const first = 60 << 10
				data := pattern(size)
				b := &gatedBody{data: data, first: first, gate: make(chan struct{})}
				f := newTestDialer(t, retrying)
				r := f.start(newRequest(t, "POST", testURL, b))
				p := f.accept(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 1 << 20})
				p.send(frame.WindowUpdate{Increment: 1 << 20})
				p.request()
				for n := 0; n < first; {
					n += len(p.next().(frame.Data).Data)
				}
				synctest.Wait()
				p.send(h2test.RST(1, frame.RefusedStream))
				h := p.nextRequest()
				synctest.Wait()
				close(b.gate)
				p.wantBody(h.StreamID, data)
				p.send(h2test.Response(h.StreamID, 204).End())
				r.response()
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

// What an attempt that was given up reads late is not lost, and does not come twice; one that
// begins to read late reads nothing.
func TestReplayBodyAttempts(t *testing.T) {
	reads := 0
	req := newRequest(t, "POST", testURL, readerFunc(func(p []byte) (int, error) {
		if reads++; reads > 3 {
			return 0, io.EOF
		}
		return copy(p, strings.Repeat(string(rune('a'+reads-1)), 4)), nil
	}))
	src := newReplayBody(req, 6)
	p := make([]byte, 4)
	late := src.newReader()
	if next, err := src.forRetry(req); next != src || err != nil {
		t.Fatalf("nothing was read, and again says %v, %v", next, err)
	}
	if n, err := late.Read(p); n != 0 || err != errSuperseded || reads != 0 {
		t.Errorf("a late reader gets %d, %v after %d reads", n, err, reads)
	}
	first := src.newReader()
	if n, err := first.Read(p); string(p[:n]) != "aaaa" || err != nil {
		t.Fatalf("%q, %v", p[:n], err)
	}
	second, err := src.forRetry(req)
	if err != nil {
		t.Fatal(err)
	}
	r := second.newReader()
	if b, err := io.ReadAll(&r); string(b) != "aaaabbbbcccc" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := src.forRetry(req); !errors.Is(err, errNotBuffered) {
		t.Errorf("too much was read, and again says %v", err)
	}
}

// Bodies that break the contract of io.Reader, or do not come back, fail the request and nothing
// else.
func TestRequestBodiesThatMisbehave(t *testing.T) {
	for name, tt := range map[string]struct {
		read func(p []byte) (int, error)
		want error
	}{
		"too many octets": {func(p []byte) (int, error) { return len(p) + 1, nil }, errBadCount},
		"negative":        {func([]byte) (int, error) { return -1, nil }, errBadCount},
		"negative at end": {func([]byte) (int, error) { return -1, io.EOF }, errBadCount},
		"Goexit":          {func([]byte) (int, error) { runtime.Goexit(); return 0, nil }, errReadExited},
		"closed body":     {func([]byte) (int, error) { return 0, http.ErrBodyReadAfterClose }, http.ErrBodyReadAfterClose},
		"wrapped end":     {func([]byte) (int, error) { return 3, wrapped{io.EOF} }, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				spy := &spyBody{Reader: readerFunc(tt.read)}
				f := newTestDialer(t)
				r := f.start(newRequest(t, "POST", testURL, spy))
				p := f.accept()
				p.request()
				p.wantReset(1, frame.Cancel)
				r.wantErr(tt.want)
				spy.check(t)
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

// wrapped is an error around another.
type wrapped struct{ error }

func (e wrapped) Unwrap() error { return e.error }

// What GetBody gives is held against Content-Length, and its error is the request's.
func TestGetBodyAnswers(t *testing.T) {
	mine := errors.New("mine")
	for name, tt := range map[string]struct {
		getBody func() (io.ReadCloser, error)
		want    error
	}{
		"short":   {func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("123")), nil }, errBodyTooShort},
		"long":    {func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("12345")), nil }, errBodyTooLong},
		"NoBody":  {func() (io.ReadCloser, error) { return http.NoBody, nil }, errBodyTooShort},
		"nothing": {func() (io.ReadCloser, error) { return nil, nil }, errNilGetBody},
		"error":   {func() (io.ReadCloser, error) { return nil, mine }, mine},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t, retrying)
				req := newRequest(t, "POST", testURL, strings.NewReader("1234"))
				req.GetBody = tt.getBody
				r := f.start(req)
				p := f.accept()
				p.request()
				p.send(h2test.RST(1, frame.RefusedStream))
				r.wantErr(tt.want)
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

// GetBody may give the old body again, rewound: it is asked only when no Read of it is under way,
// or the context ends.
func TestGetBodyAfterRead(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			reading := make(chan struct{})
			b := readerFunc(func([]byte) (int, error) { <-reading; return 0, errors.New("closed") })
			ctx, cancel := context.WithCancel(t.Context())
			req := newRequest(t, "POST", testURL, b).WithContext(ctx)
			inRead := true
			req.GetBody = func() (io.ReadCloser, error) {
				if inRead {
					t.Error("asked while a Read was under way")
				}
				return io.NopCloser(strings.NewReader("again")), nil
			}
			f := newTestDialer(t, retrying)
			r := f.start(req)
			p := f.accept()
			p.request()
			synctest.Wait() // until the first Read is under way
			p.send(h2test.RST(1, frame.RefusedStream))
			r.wantWaiting("the body is being read")
			if stuck {
				cancel()
				r.wantErr(context.Canceled)
				close(reading)
			} else {
				inRead = false
				close(reading)
				h := p.nextRequest()
				p.wantBody(h.StreamID, []byte("again"))
				p.send(h2test.Response(h.StreamID, 204).End())
				r.response()
			}
			cancel()
			f.close()
			_ = p.nc.Close()
		})
	}
}

// A redirect that keeps the method comes while the body is being sent: the next request has all of
// it.
func TestReplayRedirect(t *testing.T) {
	u := newTCPServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/b" {
			http.Redirect(w, r, "/b", http.StatusPermanentRedirect)
			return
		}
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d %x %v", len(b), crc32.ChecksumIEEE(b), err)
	}))
	hc := http.Client{Transport: &Transport{Protocols: h2cOnly(), Proxy: noProxy}}
	defer hc.CloseIdleConnections()
	data := pattern(1 << 20)
	want := fmt.Sprintf("%d %x <nil>", len(data), crc32.ChecksumIEEE(data))
	for range 20 {
		resp, err := hc.Post(u, "", bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A server of HTTP/1.x in cleartext behind an https URL is reported as net/http does.
func TestHTTPServerOnHTTPS(t *testing.T) {
	ts := httptest.NewServer(http.NotFoundHandler())
	defer ts.Close()
	hc := http.Client{Transport: &Transport{Proxy: noProxy}}
	if _, err := hc.Get("https" + strings.TrimPrefix(ts.URL, "http")); !errors.Is(err, http.ErrSchemeMismatch) {
		t.Errorf("%v", err)
	}
}

// A request that waits for 100 (Continue) when it is refused has its body still.
func TestReplayExpectContinue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, retrying, func(t *Transport) { t.ExpectContinueTimeout = 1 << 40; t.ReplayBuffer = -1 })
		spy := &spyBody{Reader: strings.NewReader("body")}
		req := newRequest(t, "POST", testURL, spy)
		req.Header.Set("Expect", "100-continue")
		r := f.start(req)
		p := f.accept()
		p.request()
		synctest.Wait()
		p.send(h2test.RST(1, frame.RefusedStream))
		h := p.nextRequest()
		p.send(h2test.Response(h.StreamID, 100))
		p.wantBody(h.StreamID, []byte("body"))
		p.send(h2test.Response(h.StreamID, 204).End())
		r.response()
		spy.check(t)
		f.close()
		_ = p.nc.Close()
	})
}
