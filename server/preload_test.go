package server

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
)

// preloading serves pages that have Link fields.
func preloading(links ...string) http.Handler {
	return PushPreloads(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil // none
		if r.URL.Path == "/1" || r.URL.Path == "/3" {
			w.Header()["Link"] = links
		}
		_, _ = io.WriteString(w, "content")
	}))
}

func TestPushPreloads(t *testing.T) {
	needsClear(t)
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &Server{Handler: preloading(
			`</style.css>; rel=preload; as=style, <script.js?v=1>; rel="preload"; as=script`,
			`<http://example.test/img>; rel=preload`,
			`</not-pushed>; rel=preload; nopush, <http://other.test/x>; rel=preload, </next>; rel=next, </1>; rel=preload`,
			`</style.css>; rel=preload`,
		)})
		p.send(p.request(1, "GET", "/1", true, "accept-encoding", "br", "accept", "y"))
		p.wantByStream("each is pushed once",
			"PUSH_PROMISE 1 2 :method=GET :scheme=http :authority=example.test :path=/style.css accept-encoding=br",
			"PUSH_PROMISE 1 4 :method=GET :scheme=http :authority=example.test :path=/script.js?v=1 accept-encoding=br",
			"PUSH_PROMISE 1 6 :method=GET :scheme=http :authority=example.test :path=/img accept-encoding=br",
			"HEADERS 1 :status=200 link=</style.css>; rel=preload; as=style, <script.js?v=1>; rel=\"preload\"; as=script "+
				"link=<http://example.test/img>; rel=preload "+
				"link=</not-pushed>; rel=preload; nopush, <http://other.test/x>; rel=preload, "+
				"</next>; rel=next, </1>; rel=preload "+
				"link=</style.css>; rel=preload content-length=7", `DATA 1 "content" END_STREAM`,
			"HEADERS 2 :status=200 content-length=7", `DATA 2 "content" END_STREAM`,
			"HEADERS 4 :status=200 content-length=7", `DATA 4 "content" END_STREAM`,
			"HEADERS 6 :status=200 content-length=7", `DATA 6 "content" END_STREAM`)
		p.get(3)
		synctest.Wait()
		for _, line := range p.take() {
			// What the first page could not push because it was the page itself, this one can.
			if strings.HasPrefix(line, "PUSH_PROMISE") &&
				line != "PUSH_PROMISE 3 8 :method=GET :scheme=http :authority=example.test :path=/1" {
				t.Errorf("pushed again: %s", line)
			}
		}
		p.close()
	})
}

// Nothing is pushed to a client that takes no pushes, with a response that is no page, or beyond
// maxPreloads.
func TestPushPreloadsNot(t *testing.T) {
	const link = `</style.css>; rel=preload`
	count := func(p *peer) (n int) {
		synctest.Wait()
		for _, line := range p.take() {
			if strings.HasPrefix(line, "PUSH_PROMISE") {
				n++
			}
		}
		return n
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &Server{Handler: preloading(link)}, frame.Setting{ID: frame.SettingEnablePush, Value: 0})
		p.get(1)
		if n := count(p); n != 0 {
			t.Errorf("%d pushes to a client that takes none", n)
		}
		p.close()

		p = newPeer(t, &Server{Handler: preloading(link)})
		p.send(p.request(1, "POST", "/1", true))
		if n := count(p); n != 0 {
			t.Errorf("%d pushes in answer to POST", n)
		}
		p.get(3)
		if n := count(p); n != 1 {
			t.Errorf("%d pushes, want 1", n)
		}
		p.close()

		p = newPeer(t, &Server{Handler: PushPreloads(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", link)
			w.WriteHeader(http.StatusNotFound)
		}))})
		p.get(1)
		if n := count(p); n != 0 {
			t.Errorf("%d pushes with 404", n)
		}
		p.close()

		// As much as a page may name: the limit is that of what is remembered, over several pages.
		page := 0
		p = newPeer(t, &Server{Handler: PushPreloads(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/p") {
				return
			}
			page++
			for i := range 100 {
				w.Header().Add("Link", fmt.Sprintf("</p%d-%d>; rel=preload", page, i))
			}
		}))})
		n := 0
		for id := uint32(1); id < 13; id += 2 {
			p.get(id)
			n += count(p)
		}
		if n != maxPreloads {
			t.Errorf("%d pushes on a connection, want %d", n, maxPreloads)
		}
		p.close()
	})
}

// hinting says early what is needed.
func hinting(h http.Handler) http.Handler {
	return EarlyHints(h, func(r *http.Request) []string {
		if r.URL.Path == "/style.css" {
			return nil
		}
		return []string{`</style.css>; rel=preload; as=style`}
	})
}

func page(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = nil // none
	_, _ = io.WriteString(w, "content")
}

func TestEarlyHints(t *testing.T) {
	needsClear(t)
	const link = "link=</style.css>; rel=preload; as=style"
	final := "HEADERS %d :status=200 " + link + " content-length=7"
	want := func(p *peer, id uint32, hint ...string) {
		t.Helper()
		p.want(
			fmt.Sprint("request ", id),
			append(hint, fmt.Sprintf(final, id), fmt.Sprintf(`DATA %d "content" END_STREAM`, id))...)
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &Server{Handler: hinting(http.HandlerFunc(page))})
		p.get(1)
		want(p, 1, "HEADERS 1 :status=103 "+link)
		p.send(p.request(3, "GET", "/", true, "sec-fetch-mode", "navigate"))
		want(p, 3, "HEADERS 3 :status=103 "+link)
		p.send(p.request(5, "GET", "/", true, "sec-fetch-mode", "cors"))
		want(p, 5)
		p.send(p.request(7, "POST", "/", true))
		want(p, 7)
		p.close()
	})
	synctest.Test(t, func(t *testing.T) {
		h := &Server{Handler: PushPreloads(hinting(http.HandlerFunc(page)))}
		p := newPeer(t, h)
		p.get(1)
		p.wantByStream(
			"a push instead of the hint",
			"PUSH_PROMISE 1 2 :method=GET :scheme=http :authority=example.test :path=/style.css",
			fmt.Sprintf(final, 1),
			`DATA 1 "content" END_STREAM`,
			"HEADERS 2 :status=200 content-length=7",
			`DATA 2 "content" END_STREAM`,
		)
		p.close()
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(
			t,
			&Server{Handler: PushPreloads(hinting(http.HandlerFunc(page)))},
			frame.Setting{ID: frame.SettingEnablePush, Value: 0},
		)
		p.get(1)
		want(p, 1, "HEADERS 1 :status=103 "+link)
		p.close()
	})
}

// Over HTTP/1.1 there is neither push nor 103, and the links are in the response.
func TestEarlyHintsHTTP1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := memconn.Connect(clearLink(t))
		srv := &Server{Handler: PushPreloads(hinting(http.HandlerFunc(page)))}
		done := make(chan bool)
		go func() {
			srv.ServeConn(server)
			close(done)
		}()
		_, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || resp.Header.Get("Link") != `</style.css>; rel=preload; as=style` {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
		_ = client.Close()
		<-done
	})
}
