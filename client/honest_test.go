package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// take waits for the head of a request, past everything else that a client sends.
func (p *peer) take() h2test.Block {
	p.t.Helper()
	for {
		switch f := p.next().(type) {
		case h2test.Block:
			return f
		case frame.GoAway:
			p.t.Fatalf("the client sent %v %q", f.Code, f.DebugData)
		case nil:
			p.t.Fatal("the client has closed the connection")
		}
	}
}

// What servers send with each response, more often than any limit allows at once.
func TestHonestServers(t *testing.T) {
	tests := map[string]func(id uint32) []any{ // the response
		"empty DATA": func(id uint32) []any {
			return []any{h2test.Response(id, 200), h2test.Data(id, ""), h2test.DataEnd(id, "ok")}
		},
		"103": func(id uint32) []any {
			return []any{h2test.Response(id, 103, "link: </a>"), h2test.Response(id, 200).End()}
		},
		"PING":      func(id uint32) []any { return []any{frame.Ping{}, h2test.Response(id, 200).End()} },
		"SETTINGS":  func(id uint32) []any { return []any{frame.NewSettings(), h2test.Response(id, 200).End()} },
		"PRIORITY":  func(id uint32) []any { return []any{frame.Priority{StreamID: id}, h2test.Response(id, 200).End()} },
		"early RST": func(id uint32) []any { return []any{h2test.Response(id, 200).End(), h2test.RST(id, frame.NoError)} },
		"late frames": func(id uint32) []any {
			return []any{h2test.Response(id, 200).End(), frame.WindowUpdate{StreamID: id, Increment: 1}}
		},
		"WINDOW_UPDATE": func(id uint32) []any {
			update := frame.WindowUpdate{StreamID: id, Increment: 1}
			return []any{frame.WindowUpdate{Increment: 1}, update, h2test.Response(id, 200).End()}
		},
		"ALTSVC": func(id uint32) []any {
			return []any{frame.AltSvc{StreamID: id, Value: []byte(`h2=":1"`)}, h2test.Response(id, 200).End()}
		},
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t)
				var p *peer
				for i := range 1500 {
					var reqBody io.Reader
					if name == "early RST" {
						reqBody = strings.NewReader("complete")
					}
					r := f.start(newRequest(t, "POST", testURL+"/", reqBody))
					if i == 0 {
						p = f.accept()
					}
					p.send(answer(p.take().StreamID)...)
					readAll(t, r.response())
				}
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

// A server's faults end the streams that they are on. A download beside them goes on.
func TestFaultsBesideDownload(t *testing.T) {
	faults := map[string]func(id uint32) []any{
		"malformed response":   func(id uint32) []any { return []any{h2test.Response(id, 200, "connection: close")} },
		"DATA before the head": func(id uint32) []any { return []any{h2test.Data(id, "x")} },
		"DATA beyond its length": func(id uint32) []any {
			return []any{h2test.Response(id, 200, "content-length: 1"), h2test.Data(id, "xx")}
		},
		"empty DATA without end": func(id uint32) []any {
			return append([]any{h2test.Response(id, 200)}, empties(id, 3000)...)
		},
		"trailers without an end": func(id uint32) []any { return []any{h2test.Response(id, 200), h2test.Response(id, 200)} },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t)
				download := f.get()
				p := f.accept()
				first := p.take().StreamID
				p.send(h2test.Response(first, 200))
				resp := download.response()
				for range 250 {
					r := f.get()
					p.send(fault(p.take().StreamID)...)
					<-r.done
					if r.err == nil {
						if _, err := io.ReadAll(r.resp.Body); err == nil {
							t.Fatal("a response with a fault was taken")
						}
						_ = r.resp.Body.Close()
					}
				}
				p.send(h2test.DataEnd(first, "the rest"))
				if s := readAll(t, resp); s != "the rest" {
					t.Errorf("the download has %q", s)
				}
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

func empties(id uint32, n int) (list []any) {
	for range n {
		list = append(list, h2test.Data(id, ""))
	}
	return list
}

// DATA of an octet each that is not read, within the window, harms no stream.
func TestSmallDataUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t)
		slow := f.get()
		p := f.accept()
		p.take()
		other := f.get()
		p.take()
		go func() {
			for p.next() != nil { // else what the client answers fills the connection
			}
		}()
		p.send(h2test.Response(1, 200), h2test.Response(3, 200))
		var wire []byte
		for range 60_000 {
			wire = h2test.Data(1, "x").Append(wire)
		}
		p.send(wire)
		p.send(h2test.DataEnd(1, "y"), h2test.DataEnd(3, "other"))
		if s := readAll(t, other.response()); s != "other" {
			t.Errorf("the other stream has %q", s)
		}
		if s := readAll(t, slow.response()); s != strings.Repeat("x", 60_000)+"y" {
			t.Errorf("%d octets arrived", len(s))
		}
		f.close()
		_ = p.nc.Close()
	})
}

// Header sections as large as net/http takes them.
func TestHonestResponseHeaders(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fields":
			for i := range 1100 {
				w.Header().Set(fmt.Sprintf("X-%d", i), "v")
			}
		case "/300k":
			w.Header().Set("X", strings.Repeat("x", 300<<10))
		case "/2m":
			w.Header().Set("X", strings.Repeat("x", 2<<20))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, h)
		tr := s.transport()
		for _, path := range []string{"/fields", "/300k", "/2m"} {
			resp, err := tr.RoundTrip(newRequest(t, "GET", testURL+path, nil))
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			n := 0
			for k, v := range resp.Header {
				n += len(k) + len(v[0])
			}
			t.Logf("%s: %d octets", path, n)
			readAll(t, resp)
		}
		s.stop(tr)
	})
}

// A response whose header section is far too large fails, and costs the others nothing: neither
// those that run nor those to come, for which HPACK's table is as the server has it.
func TestHugeHeaderBesideDownload(t *testing.T) {
	for _, size := range []int{9_000, 100_000, 2 << 20, 5 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t, func(tr *Transport) { tr.MaxResponseHeaderBytes = 4000 })
				download := f.get()
				p := f.accept()
				p.send(h2test.Response(p.take().StreamID, 200, "x-first: entered"))
				resp := download.response()
				for i := range 3 {
					r := f.get()
					id := p.take().StreamID
					n := fmt.Sprint(i)
					huge := h2test.Response(id, 200, "x-a: "+n, "x-huge: "+strings.Repeat("h", size), "x-b: "+n)
					block := p.codec.Block(huge.Fields...)
					cut := func() (piece []byte) {
						piece, block = block[:min(len(block), 16000)], block[min(len(block), 16000):]
						return piece
					}
					piece := cut()
					p.send(frame.Headers{StreamID: id, Fragment: piece, EndHeaders: len(block) == 0})
					for len(block) > 0 {
						piece = cut()
						p.send(frame.Continuation{StreamID: id, Fragment: piece, EndHeaders: len(block) == 0})
					}
					<-r.done
					if r.err == nil {
						t.Fatal("the header section was taken")
					}
					r = f.get()
					id = p.take().StreamID
					p.send(h2test.Response(id, 200, "x-a: "+fmt.Sprint(i), "x-b: "+fmt.Sprint(i), "x-first: entered").End())
					h := r.response().Header
					if h.Get("X-A") != fmt.Sprint(i) || h.Get("X-B") != fmt.Sprint(i) || h.Get("X-First") != "entered" {
						t.Fatalf("the next response has %v", h)
					}
				}
				p.send(h2test.DataEnd(1, "the rest"))
				if s := readAll(t, resp); s != "the rest" {
					t.Errorf("the download has %q", s)
				}
				f.close()
				_ = p.nc.Close()
			})
		})
	}
}

// Interim responses are the hook's to bound where there is one, and otherwise bounded by their
// octets.
func TestManyInterimResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, func(tr *Transport) { tr.MaxResponseHeaderBytes = 10_000 })
		seen := 0
		ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
			Got1xxResponse: func(int, textproto.MIMEHeader) error { seen++; return nil },
		})
		r := f.start(newRequest(t, "GET", testURL+"/", nil).WithContext(ctx))
		p := f.accept()
		id := p.take().StreamID
		for range 2000 {
			p.send(h2test.Response(id, 103, "link: </a>"))
		}
		p.send(h2test.Response(id, 200).End())
		readAll(t, r.response())
		if seen != 2000 {
			t.Errorf("the hook has seen %d", seen)
		}
		r = f.get()
		id = p.take().StreamID
		for range 100 {
			p.send(h2test.Response(id, 103, "link: </a>"))
		}
		p.send(h2test.Response(id, 200).End())
		readAll(t, r.response())
		f.close()
		_ = p.nc.Close()
	})
}
