package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
)

func TestConnectionSpecificFields(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, k := range []string{"Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Connection"} {
			w.Header().Set(k, "x")
		}
		w.Header().Set("X-Ok", " spaces are trimmed\t")
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusSwitchingProtocols)
	}, func(t *testing.T, p *peer) {
		p.get(1)
		p.want("RFC 9113 §8.2.2", "HEADERS 1 :status=102 x-ok=spaces are trimmed",
			"HEADERS 1 :status=200 x-ok=spaces are trimmed content-length=0 END_STREAM")
		if got := p.logs.String(); !strings.Contains(got, "WriteHeader(101) ignored") {
			t.Errorf("logged %q", got)
		}
	})
}

func TestDeclaredLength(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		w.Header().Set("Content-Type", "x")
		switch r.URL.Path {
		case "/1":
			_, _ = io.WriteString(w, "hell")
		case "/3":
			_, err := io.WriteString(w, "hello, world")
			if !errors.Is(err, http.ErrContentLength) {
				t.Errorf("too much: %v", err)
			}
		case "/5":
			_, _ = io.WriteString(w, "hello")
			if _, err := io.WriteString(w, "!"); !errors.Is(err, http.ErrContentLength) {
				t.Errorf("one too many: %v", err)
			}
		case "/7":
			_, _ = io.WriteString(w, "he")
			_ = http.NewResponseController(w).Flush()
		case "/9":
			w.WriteHeader(http.StatusNotModified)
		}
	}, func(_ *testing.T, p *peer) {
		const head = "HEADERS %d :status=%d content-type=x content-length=5"
		p.get(1)
		p.want("too short", fmt.Sprintf(head, 1, 200), `DATA 1 "hell"`, "RST_STREAM 1 INTERNAL_ERROR")
		p.get(3)
		p.want("nothing written", fmt.Sprintf(head, 3, 200), "RST_STREAM 3 INTERNAL_ERROR")
		p.get(5)
		p.want("what fits is complete", fmt.Sprintf(head, 5, 200), `DATA 5 "hello" END_STREAM`)
		p.get(7)
		p.want("too short after a flush", fmt.Sprintf(head, 7, 200), `DATA 7 "he"`, "RST_STREAM 7 INTERNAL_ERROR")
		p.get(9)
		p.want("304 has no body to measure", fmt.Sprintf(head, 9, 304)+" END_STREAM")
	})
}

func TestNoLengthOn204(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusNoContent)
	}, func(_ *testing.T, p *peer) {
		p.get(1)
		p.want("RFC 9110 §8.6", "HEADERS 1 :status=204 END_STREAM")
	})
}

func TestHeadTakesAnyBody(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			if n, err := w.Write(make([]byte, bufferSize)); n != bufferSize || err != nil {
				t.Errorf("write: %d, %v", n, err)
			}
		}
	}, func(_ *testing.T, p *peer) {
		p.send(p.request(1, "HEAD", "/", true))
		p.want("no body", "HEADERS 1 :status=200 content-type=application/octet-stream END_STREAM")
	})
}

// TestContinueOnce: 100 (Continue) is sent by the first read, not by later ones, and not after an
// answer.
func TestContinueOnce(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/3":
			w.WriteHeader(http.StatusContinue)
		case "/5":
			w.WriteHeader(http.StatusOK)
		case "/7":
			return
		}
		_, _ = io.Copy(w, r.Body)
	}, func(_ *testing.T, p *peer) {
		post := func(id uint32) {
			p.send(p.request(id, "POST", fmt.Sprintf("/%d", id), false, "expect", "100-Continue"))
		}
		post(1)
		p.want("by reading", "HEADERS 1 :status=100")
		p.send(data(1, "o", false))
		p.want("once")
		p.send(data(1, "k", true))
		p.want("the answer", ok(1)...)
		post(3)
		p.want("by the handler", "HEADERS 3 :status=100")
		p.send(data(3, "ok", true))
		p.want("the answer", ok(3)...)
		post(5)
		p.want("not after the header")
		p.send(data(5, "ok", true))
		p.want("the answer", ok(5)...)
		post(7)
		p.want("never read", "HEADERS 7 :status=200 content-length=0 END_STREAM", "RST_STREAM 7 NO_ERROR")
	})
}

func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			var err error
			if r.URL.Path == "/read" {
				_, err = r.Body.Read(make([]byte, 1))
			} else {
				_, err = io.Copy(w, zeros(0))
			}
			if d := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || d != time.Second {
				t.Errorf("%s: %v after %v", r.URL.Path, err, d)
			}
			_, _ = io.WriteString(w, "slow")
		})
		srv.ReadTimeout = time.Second
		srv.IdleTimeout = -1
		p := newPeer(t, srv)
		p.send(p.request(1, "POST", "/read", false))
		time.Sleep(2 * time.Second)
		p.want("the handler may answer", "HEADERS 1 :status=200 content-type=text/plain; charset=utf-8 content-length=4",
			`DATA 1 "slow" END_STREAM`, "RST_STREAM 1 NO_ERROR")
		p.close()
	})
	synctest.Test(t, func(t *testing.T) {
		srv := serving(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/late" {
				time.Sleep(2 * time.Second)
				return
			}
			start := time.Now()
			_, err := io.Copy(w, zeros(0))
			if d := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || d != time.Second {
				t.Errorf("%v after %v", err, d)
			}
		})
		srv.WriteTimeout = time.Second
		p := newPeer(t, srv)
		p.send(p.request(1, "GET", "/endless", true))
		time.Sleep(2 * time.Second)
		got := p.take()
		if len(got) < 2 || got[len(got)-1] != "RST_STREAM 1 INTERNAL_ERROR" {
			t.Errorf("endless: %q", got)
		}
		p.send(p.request(3, "GET", "/late", true))
		time.Sleep(3 * time.Second)
		p.want("late", "RST_STREAM 3 INTERNAL_ERROR")
		p.close()
	})
}

// zeros is an endless reader.
type zeros int

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s host=%q url=%q uri=%q protocol=%q;", r.Method, r.Host, r.URL, r.RequestURI, r.Header[":protocol"])
			_ = http.NewResponseController(w).Flush()
			_, _ = io.Copy(flushWriter{w}, r.Body)
		})
		srv.EnableConnectProtocol = true
		p := newPeer(t, srv)
		p.send(p.request(1, "CONNECT", "db.test:5432", false))
		p.want("a tunnel has neither length nor type", "HEADERS 1 :status=200",
			`DATA 1 "CONNECT host=\"db.test:5432\" url=\"//db.test:5432\" uri=\"db.test:5432\" protocol=[];"`)
		p.send(data(1, "ping", false))
		p.want("both ways", `DATA 1 "ping"`)
		p.send(data(1, "", true))
		p.want("the end", `DATA 1 "" END_STREAM`)

		p.send(p.request(3, "CONNECT", "/chat", false, ":protocol", "websocket"))
		p.want("RFC 8441", "HEADERS 3 :status=200",
			`DATA 3 "CONNECT host=\"example.test\" url=\"/chat\" uri=\"/chat\" protocol=[\"websocket\"];"`)
		p.send(frame.RSTStream{StreamID: 3, Code: frame.Cancel})
		p.want("no more")
		p.close()
	})
}

type flushWriter struct{ http.ResponseWriter }

func (w flushWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.ResponseWriter.(http.Flusher).Flush()
	return n, err
}

func TestOptionsAsterisk(t *testing.T) {
	for _, disable := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			srv := serving(okHandler)
			srv.DisableGeneralOptionsHandler = disable
			p := newPeer(t, srv)
			p.send(p.request(1, "OPTIONS", "*", true))
			if disable {
				p.want("the handler's", ok(1)...)
			} else {
				p.want("ours", "HEADERS 1 :status=200 content-length=0 END_STREAM")
			}
			p.close()
		})
	}
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serving(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/3" {
				panic("oh")
			}
			_, _ = io.WriteString(w, "ok")
		})
		p := newPeer(t, srv)
		p.get(1, 3)
		synctest.Wait()
		s := srv.Stats()
		if s.Connections != 1 || s.Open != 1 || s.Requests != 2 || s.Panics != 1 || s.Conn.StreamsOpened != 2 {
			t.Errorf("open: %+v", s)
		}
		p.close()
		if s = srv.Stats(); s.Connections != 1 || s.Open != 0 || s.Requests != 2 || s.Conn.StreamsOpened != 2 ||
			s.Conn.DataOut != 2 {
			t.Errorf("closed: %+v", s)
		}
	})
}
