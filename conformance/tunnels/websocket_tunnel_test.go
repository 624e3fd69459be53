package tunnels

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// Each library opens WebSockets, ws and wss, through a tunnel over HTTP/2.
func TestWebSocketThroughTunnel(t *testing.T) {
	ports, err := tunnel.ParsePorts("any")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &tunnel.Proxy{Policy: &tunnel.Rules{AllowPrivate: true, Ports: ports}}
	proxied := httptest.NewUnstartedServer(proxy)
	if err := server.Configure(proxied.Config, nil); err != nil {
		t.Fatal(err)
	}
	proxied.TLS = proxied.Config.TLSConfig
	proxied.EnableHTTP2 = true
	proxied.StartTLS()
	defer proxied.Close()
	defer proxy.Close()
	to, err := url.Parse(proxied.URL)
	if err != nil {
		t.Fatal(err)
	}
	d := &tunnel.Dialer{Proxy: to, TLSClientConfig: insecure.Clone()}
	defer d.Close()

	s := newLibrarySite(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dials := map[string]func(url string) (webSocket, error){
		"coder": func(url string) (webSocket, error) {
			tr := &client.Transport{DialContext: d.DialContext, TLSClientConfig: insecure.Clone()}
			t.Cleanup(tr.CloseIdleConnections)
			c, _, err := coder.Dial(ctx, url, &coder.DialOptions{HTTPClient: &http.Client{Transport: tr}})
			if err != nil {
				return nil, err
			}
			c.SetReadLimit(-1)
			return coderSocket{c, ctx}, nil
		},
		"gorilla": func(url string) (webSocket, error) {
			gd := gorilla.Dialer{NetDialContext: d.DialContext, TLSClientConfig: insecure.Clone()}
			c, _, err := gd.DialContext(ctx, url, nil)
			return gorillaSocket{c}, err
		},
		"gobwas": func(url string) (webSocket, error) {
			c, _, _, err := ws.Dialer{NetDial: d.DialContext, TLSConfig: insecure.Clone()}.Dial(ctx, url)
			return &gobwasSocket{Conn: c, r: c}, err
		},
	}
	for library, dial := range dials {
		for _, secure := range []bool{false, true} {
			w, err := dial(s.url(secure, library))
			if err != nil {
				t.Errorf("%s, TLS %t: %v", library, secure, err)
				continue
			}
			msg := body(1 << 20)
			sent := make(chan error, 1)
			go func() { sent <- w.send(msg) }()
			if got, err := w.receive(); err != nil || !bytes.Equal(got, msg) {
				t.Errorf("%s, TLS %t: %d octets came back, %v", library, secure, len(got), err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if err := w.end(); err != nil {
				t.Errorf("%s, TLS %t: the closing handshake: %v", library, secure, err)
			}
		}
	}
	if n := proxy.Stats().Tunnels; n != 6 {
		t.Errorf("%d tunnels, want 6", n)
	}
}
