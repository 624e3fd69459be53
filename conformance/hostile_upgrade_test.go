package conformance

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/server"
)

// Requests of HTTP/1.1 that ask for an upgrade and may not have it: above all those with a body,
// which a gateway and we could take for different things (CVE-2026-58055). They are answered in
// HTTP/1.1, with what came after them taken for what HTTP/1.1 says it is.
func TestHostileUpgrade(t *testing.T) {
	const (
		ask      = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
		settings = "HTTP2-Settings: AAMAAABkAAQAAP__\r\n"
	)
	notOffered := func(s *server.Server) { s.AllowH2CUpgrade = false }
	tests := []struct {
		name, request string
		configure     []func(*server.Server)
	}{
		{"not offered", "GET / HTTP/1.1\r\nHost: a\r\n" + ask + settings + "\r\n", []func(*server.Server){notOffered}},
		{"content-length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" + ask + settings + "\r\nsmall", nil},
		{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + ask + settings + "\r\n0\r\n\r\n", nil},
		{"no settings", "GET / HTTP/1.1\r\nHost: a\r\n" + ask + "\r\n", nil},
		{"two settings", "GET / HTTP/1.1\r\nHost: a\r\n" + ask + settings + settings + "\r\n", nil},
		{
			"settings not in Connection",
			"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" + settings + "\r\n",
			nil,
		},
		{"settings that are not base64url", "GET / HTTP/1.1\r\nHost: a\r\n" + ask + "HTTP2-Settings: %%%%\r\n\r\n", nil},
		{"HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\n" + ask + settings + "\r\n", nil},
		{"h2 by name", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Replace(ask, "h2c", "h2", 1) + settings + "\r\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ls, _ := startGate(t, tt.configure...)
			p := dialRaw(t, ls)
			p.out = append(p.out, tt.request...)
			p.out = append(p.out, "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"...)
			p.mustFlush()
			p.nc.SetReadDeadline(time.Now().Add(rawTimeout))
			r := bufio.NewReader(p.nc)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusOK {
				t.Errorf("status %d, want 200", resp.StatusCode)
			}
			resp.Body.Close()
			if tt.name == "HTTP/1.0" {
				return // the connection is closed after the answer
			}
			next, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("the request behind it was not answered: %v", err)
			}
			next.Body.Close()
		})
	}
}
