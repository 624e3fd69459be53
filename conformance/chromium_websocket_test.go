package conformance

import (
	_ "embed"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

//go:embed testdata/websocket.html
var webSocketPage string

// webSocketServer serves a page that opens a WebSocket, and records on which connections.
type webSocketServer struct {
	*tunnelHandler
	closed chan struct{} // closed when the browser has seen the end

	mu           sync.Mutex
	page, socket string // the client's address and the protocol
}

func (s *webSocketServer) note(what *string, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*what = strings.TrimSpace(
		r.RemoteAddr + " " + r.Proto + " " + r.Method + " " + strings.Join(r.Header[":protocol"], ""),
	)
}

func (s *webSocketServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		s.note(&s.page, r)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, webSocketPage)
	case "/chat":
		s.note(&s.socket, r)
		s.tunnelHandler.ServeHTTP(w, r)
	case "/closed":
		close(s.closed)
	case "/ended":
		select {
		case <-s.closed:
		case <-time.After(peerTimeout / 3):
		case <-r.Context().Done():
		}
		http.NotFound(w, r)
	}
}

// Chromium's WebSocket goes over the connection of its page, with extended CONNECT (RFC 8441),
// where the server offers it.
func TestChromiumWebSocket(t *testing.T) {
	s := &webSocketServer{tunnelHandler: newTunnelSite(), closed: make(chan struct{})}
	ls := startServer(t, true, s, offerConnect)
	var seen []string
	browse(t, ls.URL, &seen)
	if d := cmp.Diff([]string{"open echo", "hello", "close 1000 clean"}, seen); d != "" {
		t.Errorf("the browser (-want +got):\n%s", d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if want := strings.TrimSuffix(s.page, "GET") + "CONNECT websocket"; s.socket != want ||
		!strings.Contains(want, " HTTP/2.0 ") {
		t.Errorf("the WebSocket came as %q, the page as %q", s.socket, s.page)
	}
	s.wantEnd(t, nil)
}
