package rpc

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
)

// coder/websocket knows the handshake of HTTP/1.1 only. Its frames run over a tunnel all the same:
// the two types below put extended CONNECT (RFC 8441 §5) in the place of the handshake, on either
// side.

// webSocketTripper is the http.RoundTripper of the websocket package's client.
type webSocketTripper struct{ tr *client.Transport }

func (t webSocketTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	connect := req.Clone(req.Context())
	connect.Method = http.MethodConnect
	connect.Header[":protocol"] = []string{"websocket"}
	key := connect.Header.Get("Sec-WebSocket-Key")
	for _, name := range []string{"Connection", "Upgrade", "Sec-WebSocket-Key"} {
		connect.Header.Del(name)
	}
	tunnel, resp, err := t.tr.Connect(connect)
	if err != nil || tunnel == nil {
		return resp, err
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	resp.StatusCode = http.StatusSwitchingProtocols
	resp.Header.Set("Connection", "Upgrade")
	resp.Header.Set("Upgrade", "websocket")
	resp.Header.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	resp.Body = tunnel
	return resp, nil
}

// webSocketWriter is the http.ResponseWriter of the websocket package's server.
type webSocketWriter struct{ http.ResponseWriter }

func (w webSocketWriter) WriteHeader(code int) {
	if code != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(code)
	}
}

func (w webSocketWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.Header().Del("Sec-WebSocket-Accept")
	tunnel, err := server.AcceptConnect(w.ResponseWriter)
	if err != nil {
		return nil, nil, err
	}
	return tunnel, bufio.NewReadWriter(bufio.NewReader(tunnel), bufio.NewWriter(tunnel)), nil
}

// acceptWebSocket is websocket.Accept for extended CONNECT.
func acceptWebSocket(w http.ResponseWriter, r *http.Request, opts *websocket.AcceptOptions) (*websocket.Conn, error) {
	if r.Method != http.MethodConnect || len(r.Header[":protocol"]) == 0 || r.Header[":protocol"][0] != "websocket" {
		http.Error(w, "no WebSocket", http.StatusNotImplemented)
		return nil, errors.New("no WebSocket")
	}
	upgrade := r.Clone(r.Context())
	upgrade.Method = http.MethodGet
	upgrade.Header.Set("Connection", "Upgrade")
	upgrade.Header.Set("Upgrade", "websocket")
	upgrade.Header.Set("Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(make([]byte, 16)))
	return websocket.Accept(webSocketWriter{w}, upgrade, opts)
}

const webSocketLimit = 8 << 20

// serveWebSocket sends back every message.
func serveWebSocket(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := acceptWebSocket(w, r, &websocket.AcceptOptions{
			Subprotocols: []string{"echo"}, CompressionMode: websocket.CompressionContextTakeover,
		})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		c.SetReadLimit(webSocketLimit)
		for {
			kind, msg, err := c.Read(r.Context())
			if err != nil {
				return // the client has closed, which it checks
			}
			if err := c.Write(r.Context(), kind, msg); err != nil {
				t.Errorf("write: %v", err)
				return
			}
		}
	})
}

func webSocketTransport(t *testing.T) *client.Transport {
	tr := &client.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	tr.Protocols.SetHTTP2(true)
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// WebSocket over HTTP/2 with the frames of coder/websocket: texts, large and compressed messages,
// pings, closing, a read that is given up, and many at once on one connection.
func TestWebSocket(t *testing.T) {
	eachSecurity(t, func(t *testing.T, secure bool) {
		addr := startOurs(t, secure, serveWebSocket(t), func(s *server.Server) { s.EnableConnectProtocol = true })
		url := map[bool]string{false: "ws://", true: "wss://"}[secure] + addr + "/chat"
		tr := webSocketTransport(t)
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		dial := func(mode websocket.CompressionMode) (*websocket.Conn, error) {
			c, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{
				HTTPClient: &http.Client{Transport: webSocketTripper{tr}}, Subprotocols: []string{"echo"}, CompressionMode: mode,
			})
			if err != nil {
				return nil, err
			}
			if c.Subprotocol() != "echo" || resp.ProtoMajor != 2 {
				return nil, fmt.Errorf("protocol %q over %s", c.Subprotocol(), resp.Proto)
			}
			c.SetReadLimit(webSocketLimit)
			return c, nil
		}
		random := make([]byte, 4<<20)
		if _, err := rand.Read(random); err != nil {
			t.Fatal(err)
		}
		echo := func(c *websocket.Conn, msg []byte) error {
			sent := make(chan error, 1)
			go func() { sent <- c.Write(ctx, websocket.MessageBinary, msg) }()
			_, got, err := c.Read(ctx)
			if err == nil {
				err = <-sent
			}
			if err == nil && !bytes.Equal(got, msg) {
				err = fmt.Errorf("sent %d octets, got %d that differ", len(msg), len(got))
			}
			return err
		}
		for name, mode := range map[string]websocket.CompressionMode{
			"plain": websocket.CompressionDisabled, "compressed": websocket.CompressionContextTakeover,
		} {
			t.Run(name, func(t *testing.T) {
				c, err := dial(mode)
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				for _, msg := range [][]byte{[]byte("hello"), nil, random, []byte(strings.Repeat("again and ", 1<<16))} {
					if err := echo(c, msg); err != nil {
						t.Fatalf("%d octets: %v", len(msg), err)
					}
				}
				c.CloseRead(ctx) // a Ping needs a reader
				if err := c.Ping(ctx); err != nil {
					t.Errorf("Ping: %v", err)
				}
				if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
		t.Run("given up", func(t *testing.T) {
			c, err := dial(websocket.CompressionDisabled)
			if err != nil {
				t.Fatal(err)
			}
			short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			if _, _, err := c.Read(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Read: %v", err)
			}
			_ = c.CloseNow()
		})
		t.Run("many", func(t *testing.T) {
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() {
					c, err := dial(websocket.CompressionDisabled)
					if err != nil {
						t.Error(err)
						return
					}
					for range 20 {
						if err := echo(c, random[:10_000]); err != nil {
							t.Error(err)
							break
						}
					}
					if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
						t.Errorf("Close: %v", err)
					}
				})
			}
			all.Wait()
			if n := tr.Stats().ConnsOpened; n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	})
}
