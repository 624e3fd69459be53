package conformance

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
)

// offerConnect has a server announce extended CONNECT.
func offerConnect(s *server.Server) { s.EnableConnectProtocol = true }

// tunnelHandler accepts CONNECT, sends back what comes, and records how each tunnel ended. With
// WebSocket it sends back frames.
type tunnelHandler struct {
	ended chan error
}

func newTunnelSite() *tunnelHandler { return &tunnelHandler{make(chan error, 10)} }

func (s *tunnelHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protocol := strings.Join(r.Header[":protocol"], "")
	switch {
	case r.Method != http.MethodConnect:
		http.NotFound(w, r)
		return
	case r.Host == "refused.test:80":
		http.Error(w, "not you", http.StatusForbidden)
		return
	case protocol == "websocket":
		w.Header()["Sec-WebSocket-Protocol"] = r.Header["Sec-Websocket-Protocol"]
	case protocol != "":
		http.Error(w, "unknown protocol", http.StatusNotImplemented)
		return
	}
	tunnel, err := server.AcceptConnect(w)
	switch {
	case err != nil:
	case protocol == "websocket":
		err = echoFrames(tunnel)
	case r.Host == "abort.test:80":
		_, err = tunnel.Read(make([]byte, 1))
		_ = tunnel.Abort(frame.ConnectError)
	default:
		_, err = io.Copy(tunnel, tunnel)
	}
	s.ended <- err
}

// halfCloser is a connection whose direction to the peer can be ended.
type halfCloser interface {
	io.ReadWriter
	CloseWrite() error
}

// echoFrames sends back the frames of a WebSocket client (RFC 6455 §5.2), until it closes. They are
// shorter than 126 octets.
func echoFrames(tunnel halfCloser) error {
	var head [6]byte
	for {
		if _, err := io.ReadFull(tunnel, head[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if head[1]&0x80 == 0 || head[1]&0x7f > 125 {
			return fmt.Errorf("the frame begins with %x", head)
		}
		answer := make([]byte, 2+head[1]&0x7f)
		answer[0], answer[1] = head[0], head[1]&0x7f
		if _, err := io.ReadFull(tunnel, answer[2:]); err != nil {
			return err
		}
		for i := range answer[2:] {
			answer[2+i] ^= head[2+i%4]
		}
		if _, err := tunnel.Write(answer); err != nil {
			return err
		}
		if head[0]&0x0f == 8 { // close
			return tunnel.CloseWrite()
		}
	}
}

func (s *tunnelHandler) wantEnd(t *testing.T, want error) {
	t.Helper()
	select {
	case err := <-s.ended:
		if !errors.Is(err, want) {
			t.Errorf("the tunnel ended with %v, want %v", err, want)
		}
	case <-time.After(rawTimeout):
		t.Error("the tunnel has not ended")
	}
}

// node's client through a server of ours: CONNECT, WebSocket over extended CONNECT (RFC 8441), and
// resets of the server.
func TestNodeTunnels(t *testing.T) {
	for _, secure := range []bool{false, true} {
		name := map[bool]string{false: "h2c", true: "tls"}[secure]
		t.Run(name, func(t *testing.T) {
			s := newTunnelSite()
			ls := startServer(t, secure, s, offerConnect)
			for host, want := range map[string]result{
				"echo.test:80":    {"status": 200.0, "received": "ping", "ended": true, "code": 0.0},
				"refused.test:80": {"status": 403.0, "received": "not you\n", "ended": true},
				"abort.test:80":   {"status": 200.0, "received": "", "error": "ERR_HTTP2_STREAM_ERROR", "code": 10.0},
			} {
				if diff := cmp.Diff(want, runNode(t, ls, "connect", host)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", host, diff)
				}
				if host != "refused.test:80" {
					s.wantEnd(t, nil)
				}
			}
			want := result{
				"status": 200.0, "received": "\u0081\x05hello", "protocol": "echo", "ended": true, "code": 0.0, "offered": true,
			}
			if diff := cmp.Diff(want, runNode(t, ls, "websocket")); diff != "" {
				t.Errorf("WebSocket (-want +got):\n%s", diff)
			}
			s.wantEnd(t, nil)
		})
	}
}

// Our client through node's server.
func TestClientTunnelsNode(t *testing.T) {
	for _, secure := range []bool{false, true} {
		scheme := map[bool]string{false: "http", true: "https"}[secure]
		t.Run(scheme, func(t *testing.T) {
			url := scheme + "://" + startNode(t, secure)
			tr := newTransport(t)
			open := func(req *http.Request) *conn.Tunnel {
				t.Helper()
				tunnel, resp, err := tr.Connect(req)
				if err != nil {
					t.Fatal(err)
				}
				if tunnel == nil {
					t.Fatal(resp.Status)
				}
				return tunnel
			}
			echo := func(tunnel *conn.Tunnel, body string) {
				t.Helper()
				var sent sync.WaitGroup
				sent.Go(func() {
					if _, err := io.WriteString(tunnel, body); err != nil {
						t.Error(err)
					}
					if err := tunnel.CloseWrite(); err != nil {
						t.Error(err)
					}
				})
				got, err := io.ReadAll(tunnel)
				if err != nil || string(got) != body {
					t.Errorf("%d octets came back, %v, want %d", len(got), err, len(body))
				}
				sent.Wait()
				_ = tunnel.Close()
			}
			echo(open(connectRequest(t, url, "echo.test:80")), string(bigBody()))
			echo(open(connectRequest(t, url+"/chat", "", ":protocol", "websocket")), "frames")

			tunnel, resp, err := tr.Connect(connectRequest(t, url+"/", "", ":protocol", "unknown"))
			if err != nil || tunnel != nil || resp.StatusCode != http.StatusNotImplemented {
				t.Errorf("another protocol: %v, %v", resp, err)
			}
			tunnel, resp, err = tr.Connect(connectRequest(t, url, "refused.test:80"))
			if err != nil || tunnel != nil {
				t.Fatal(tunnel, err)
			}
			body, err := drain(resp)
			got := fmt.Sprintf("%d %s %s", resp.StatusCode, resp.Header.Get("Proxy-Authenticate"), body)
			if got != "407 Basic who are you?" || err != nil {
				t.Errorf("%s, %v", got, err)
			}

			tunnel = open(connectRequest(t, url, "abort.test:80"))
			died := make(chan error, 1)
			tunnel.OnEnd(func(err error) { died <- err })
			if _, err := io.WriteString(tunnel, "x"); err != nil {
				t.Error(err)
			}
			// Before RST_STREAM node sends END_STREAM, so that reading may give io.EOF.
			if err := <-died; !errors.Is(err, frame.ConnectError) {
				t.Errorf("node has reset the tunnel, which died with %v", err)
			}
			_ = tunnel.Close()

			tunnel = open(connectRequest(t, url, "echo.test:80"))
			if _, err := io.WriteString(tunnel, "x"); err != nil {
				t.Error(err)
			}
			if _, err := tunnel.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
			_ = tunnel.Abort(frame.ConnectError)
			if _, b := do(t, tr, newRequest(t, "GET", url+"/aborted", nil)); string(b) != "10" {
				t.Errorf("node was told of resets with %q, want 10, CONNECT_ERROR", b)
			}
			if n := tr.Stats().ConnsOpened; n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// A server that does not offer extended CONNECT is not asked for it: nginx and net/http.
func TestClientExtendedConnectUnoffered(t *testing.T) {
	for name, start := range map[string]func(*testing.T, bool) string{"net-http": startNetHTTP, "nginx": startNginx} {
		t.Run(name, func(t *testing.T) {
			req := connectRequest(t, "https://"+start(t, true)+"/chat", "", ":protocol", "websocket")
			if _, _, err := newTransport(t).Connect(req); !errors.Is(err, client.ErrNoConnectProtocol) {
				t.Errorf("Connect: %v", err)
			}
		})
	}
}

// 100 and 103 that other servers send come to the hooks of httptrace, before the response.
func TestClientInterim(t *testing.T) {
	for name, start := range map[string]func(*testing.T, bool) string{
		"sluice":   func(t *testing.T, secure bool) string { return startServer(t, secure, testHandler()).Addr },
		"net-http": startNetHTTP, "node": startNode,
	} {
		t.Run(name, func(t *testing.T) {
			for _, scheme := range []string{"http", "https"} {
				url := scheme + "://" + start(t, scheme == "https")
				tr := newTransport(t, func(tr *client.Transport) { tr.ExpectContinueTimeout = peerTimeout })
				var seen []string
				trace := &httptrace.ClientTrace{
					Got100Continue: func() { seen = append(seen, "go on") },
					Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
						seen = append(seen, strings.TrimSpace(fmt.Sprint(code, " ", h.Get("Link"))))
						return nil
					},
				}
				traced := func(req *http.Request) *http.Request {
					return req.WithContext(httptrace.WithClientTrace(req.Context(), trace))
				}
				resp, b := do(t, tr, traced(newRequest(t, "GET", url+"/hints", nil)))
				if string(b) != helloBody || resp.Header.Get("Link") != "" {
					t.Errorf("%s: body %q, fields %v", url, b, resp.Header)
				}
				req := newRequest(t, "POST", url+"/upload", strings.NewReader("small"))
				req.Header.Set("Expect", "100-continue")
				_, b = do(t, tr, traced(req))
				if want := "HTTP/2.0 5 " + checksum([]byte("small")); string(b) != want {
					t.Errorf("%s: body %q, want %q", url, b, want)
				}
				if want := []string{"103 " + earlyLink, "100", "go on"}; !cmp.Equal(want, seen) {
					t.Errorf("%s: the hooks were told %q, want %q", url, seen, want)
				}
			}
		})
	}
}
