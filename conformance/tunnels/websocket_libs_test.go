package tunnels

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"

	"github.com/sluice-go/sluice/client"
)

// The handlers of the three libraries, written for HTTP/1.1 as their documentation has it: they
// send back what comes, and close with code 4000 after "bye".

const byeCode = 4000

// libraries are handlers for paths, and count those that have not ended.
type libraries struct {
	*http.ServeMux
	running sync.WaitGroup

	mu    sync.Mutex
	http2 map[string]int // WebSockets over HTTP/2 by path
	conns map[string]int // requests by the client's address

	gorilla map[*gorilla.Conn]struct{} // that are open
}

func newLibraries() *libraries {
	l := &libraries{
		ServeMux: http.NewServeMux(), http2: make(map[string]int), conns: make(map[string]int),
		gorilla: make(map[*gorilla.Conn]struct{}),
	}
	l.HandleFunc("GET /coder", l.coderHandler)
	l.HandleFunc("GET /gorilla", l.gorillaHandler)
	l.HandleFunc("GET /gobwas", l.gobwasHandler)
	return l
}

func (l *libraries) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	if r.TLS != nil && r.TLS.NegotiatedProtocol == "h2" {
		l.http2[r.URL.Path]++
	}
	l.conns[r.RemoteAddr]++
	l.mu.Unlock()
	l.ServeMux.ServeHTTP(w, r)
}

func (l *libraries) coderHandler(w http.ResponseWriter, r *http.Request) {
	l.running.Add(1)
	defer l.running.Done()
	c, err := coder.Accept(w, r, &coder.AcceptOptions{
		Subprotocols: []string{"echo"}, CompressionMode: coder.CompressionContextTakeover,
	})
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for {
		kind, msg, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if string(msg) == "bye" {
			c.Close(byeCode, "bye")
			return
		}
		if err := c.Write(r.Context(), kind, msg); err != nil {
			return
		}
	}
}

var gorillaUpgrader = gorilla.Upgrader{Subprotocols: []string{"echo"}, EnableCompression: true}

// gorillaHandler returns while a goroutine goes on, as in the examples of that library.
func (l *libraries) gorillaHandler(w http.ResponseWriter, r *http.Request) {
	c, err := gorillaUpgrader.Upgrade(w, r, http.Header{"X-Library": {"gorilla"}})
	if err != nil {
		return // Upgrade has answered
	}
	l.mu.Lock()
	l.gorilla[c] = struct{}{}
	l.mu.Unlock()
	l.running.Go(func() {
		defer func() {
			c.Close()
			l.mu.Lock()
			delete(l.gorilla, c)
			l.mu.Unlock()
		}()
		for {
			kind, msg, err := c.ReadMessage()
			if err != nil {
				return
			}
			if string(msg) == "bye" {
				c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(byeCode, "bye"), time.Now().Add(patience))
				return
			}
			if err := c.WriteMessage(kind, msg); err != nil {
				return
			}
		}
	})
}

var gobwasUpgrader = ws.HTTPUpgrader{Protocol: func(p string) bool { return p == "echo" }}

// gobwasHandler returns while a goroutine goes on, as in the examples of that library.
func (l *libraries) gobwasHandler(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" && !strings.HasSuffix(origin, "://"+r.Host) {
		http.Error(w, "another origin", http.StatusForbidden)
		return
	}
	c, _, _, err := gobwasUpgrader.Upgrade(r, w)
	if err != nil {
		return // Upgrade has answered
	}
	l.running.Go(func() {
		defer c.Close()
		for {
			msg, op, err := wsutil.ReadClientData(c)
			if err != nil {
				return
			}
			if string(msg) == "bye" {
				_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(byeCode, "bye")))
				return
			}
			if err := wsutil.WriteServerMessage(c, op, msg); err != nil {
				return
			}
		}
	})
}

// webSocket is a client's WebSocket of any library. An error that is a closeCode is the close frame
// of the peer.
type webSocket interface {
	send(msg []byte) error
	sendFragmented(msg []byte) error // in many frames
	receive() ([]byte, error)
	ping() error // sends a message, too, whose echo it receives
	subprotocol() string
	end() error // by the closing handshake, with code 1000
	drop()      // without a close frame
}

type closeCode int

func (c closeCode) Error() string { return fmt.Sprintf("closed with code %d", int(c)) }

// statusError is the error of a handshake that was refused.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("refused with status %d", int(s)) }

// pinged sends a message and receives it: what is handled while that is read comes before it.
func pinged(w webSocket) error {
	if err := w.send([]byte("after the ping")); err != nil {
		return err
	}
	if got, err := w.receive(); err != nil || string(got) != "after the ping" {
		return fmt.Errorf("%q, %w", got, err)
	}
	return nil
}

// dialers open a WebSocket with each library: over HTTP/2 by a Transport of ours, or by what the
// library does itself where tr is nil.
var dialers = map[string]func(ctx context.Context, tr *client.Transport, url, origin string) (webSocket, error){
	"coder": dialCoder, "gorilla": dialGorilla, "gobwas": dialGobwas,
}

var insecure = &tls.Config{InsecureSkipVerify: true}

type coderSocket struct {
	*coder.Conn
	ctx context.Context
}

func dialCoder(ctx context.Context, tr *client.Transport, url, origin string) (webSocket, error) {
	hc := &http.Client{Transport: tr}
	if tr == nil {
		hc.Transport = &http.Transport{TLSClientConfig: insecure.Clone()}
	}
	c, resp, err := coder.Dial(ctx, url, &coder.DialOptions{
		HTTPClient: hc, Subprotocols: []string{"other", "echo"}, HTTPHeader: http.Header{"Origin": {origin}},
		CompressionMode: coder.CompressionContextTakeover,
	})
	if err != nil {
		if resp != nil {
			return nil, statusError(resp.StatusCode)
		}
		return nil, err
	}
	c.SetReadLimit(-1)
	return coderSocket{c, ctx}, nil
}

func (c coderSocket) send(msg []byte) error { return c.Write(c.ctx, coder.MessageBinary, msg) }
func (c coderSocket) subprotocol() string   { return c.Subprotocol() }
func (c coderSocket) end() error            { return c.Close(coder.StatusNormalClosure, "") }
func (c coderSocket) drop()                 { _ = c.CloseNow() }

func (c coderSocket) sendFragmented(msg []byte) error {
	w, err := c.Writer(c.ctx, coder.MessageText)
	if err != nil {
		return err
	}
	for len(msg) > 0 {
		n := min(len(msg), 5000)
		if _, err := w.Write(msg[:n]); err != nil {
			return err
		}
		msg = msg[n:]
	}
	return w.Close()
}

func (c coderSocket) receive() ([]byte, error) {
	_, msg, err := c.Read(c.ctx)
	if code := coder.CloseStatus(err); code != -1 {
		return nil, closeCode(code)
	}
	return msg, err
}

func (c coderSocket) ping() error {
	pong := make(chan error, 1)
	go func() { pong <- c.Ping(c.ctx) }()
	for {
		if err := pinged(c); err != nil {
			return err
		}
		select {
		case err := <-pong:
			return err
		default: // Ping has not begun to wait yet
		}
	}
}

type gorillaSocket struct{ *gorilla.Conn }

func dialGorilla(ctx context.Context, tr *client.Transport, url, origin string) (webSocket, error) {
	d := gorilla.Dialer{
		TLSClientConfig: insecure.Clone(), Subprotocols: []string{"other", "echo"}, EnableCompression: true,
		WriteBufferSize: 1000,
	}
	if tr != nil {
		d.NetDialTLSContext, d.NetDialContext = tr.DialWebSocket, tr.DialWebSocket
	}
	c, resp, err := d.DialContext(ctx, url, http.Header{"Origin": {origin}})
	if err != nil {
		if resp != nil {
			return nil, statusError(resp.StatusCode)
		}
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetReadDeadline(deadline)
		_ = c.SetWriteDeadline(deadline)
	}
	return gorillaSocket{c}, nil
}

func (c gorillaSocket) send(msg []byte) error { return c.WriteMessage(gorilla.BinaryMessage, msg) }
func (c gorillaSocket) subprotocol() string   { return c.Subprotocol() }
func (c gorillaSocket) drop()                 { _ = c.Close() }

func (c gorillaSocket) sendFragmented(msg []byte) error {
	w, err := c.NextWriter(gorilla.TextMessage) // of frames as large as the buffer
	if err != nil {
		return err
	}
	if _, err := w.Write(msg); err != nil {
		return err
	}
	return w.Close()
}

func (c gorillaSocket) receive() ([]byte, error) {
	_, msg, err := c.ReadMessage()
	var ce *gorilla.CloseError
	if errors.As(err, &ce) && ce.Code != gorilla.CloseAbnormalClosure {
		return nil, closeCode(ce.Code)
	}
	return msg, err
}

func (c gorillaSocket) ping() error {
	pong := ""
	c.SetPongHandler(func(data string) error { pong = data; return nil })
	if err := c.WriteControl(gorilla.PingMessage, []byte("ping"), time.Now().Add(patience)); err != nil {
		return err
	}
	if err := pinged(c); err != nil || pong != "ping" {
		return fmt.Errorf("pong %q, %w", pong, err)
	}
	return nil
}

func (c gorillaSocket) end() error {
	defer c.Close()
	msg := gorilla.FormatCloseMessage(gorilla.CloseNormalClosure, "")
	if err := c.WriteControl(gorilla.CloseMessage, msg, time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.receive(); err != closeCode(1000) {
		return err
	}
	return nil
}

type gobwasSocket struct {
	net.Conn
	r        io.Reader // of Conn
	protocol string
	pong     string
}

func dialGobwas(ctx context.Context, tr *client.Transport, url, origin string) (webSocket, error) {
	d := ws.Dialer{
		TLSConfig: insecure.Clone(), Protocols: []string{"other", "echo"},
		Header: ws.HandshakeHeaderHTTP{"Origin": {origin}},
	}
	if tr != nil {
		d.NetDial = tr.DialWebSocket
		d.TLSClient = func(c net.Conn, _ string) net.Conn { return c }
	}
	c, br, hs, err := d.Dial(ctx, url)
	if err != nil {
		var status ws.StatusError
		if errors.As(err, &status) {
			return nil, statusError(status)
		}
		return nil, err
	}
	s := &gobwasSocket{Conn: c, r: c, protocol: hs.Protocol}
	if br != nil {
		s.r = br
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(deadline)
	}
	return s, nil
}

func (c *gobwasSocket) send(msg []byte) error {
	return wsutil.WriteClientBinary(c.Conn, msg)
}
func (c *gobwasSocket) subprotocol() string { return c.protocol }
func (c *gobwasSocket) drop()               { _ = c.Conn.Close() }

func (c *gobwasSocket) sendFragmented(msg []byte) error {
	w := wsutil.NewWriterSize(c.Conn, ws.StateClientSide, ws.OpText, 1000)
	if _, err := w.Write(msg); err != nil {
		return err
	}
	return w.Flush()
}

func (c *gobwasSocket) receive() ([]byte, error) {
	for {
		messages, err := wsutil.ReadServerMessage(c.r, nil)
		if err != nil {
			return nil, err
		}
		for _, m := range messages { // control frames, and a message at the end
			switch m.OpCode {
			case ws.OpPong:
				c.pong = string(m.Payload)
			case ws.OpClose:
				code, _ := ws.ParseCloseFrameData(m.Payload)
				return nil, closeCode(code)
			case ws.OpText, ws.OpBinary:
				return m.Payload, nil
			}
		}
	}
}

func (c *gobwasSocket) ping() error {
	if err := ws.WriteFrame(c.Conn, ws.MaskFrame(ws.NewPingFrame([]byte("ping")))); err != nil {
		return err
	}
	if err := pinged(c); err != nil || c.pong != "ping" {
		return fmt.Errorf("pong %q, %w", c.pong, err)
	}
	return nil
}

func (c *gobwasSocket) end() error {
	defer c.Conn.Close()
	body := ws.NewCloseFrameBody(ws.StatusNormalClosure, "")
	if err := ws.WriteFrame(c.Conn, ws.MaskFrame(ws.NewCloseFrame(body))); err != nil {
		return err
	}
	if _, err := c.receive(); err != closeCode(1000) {
		return err
	}
	return nil
}
