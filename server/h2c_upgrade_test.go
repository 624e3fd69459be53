package server

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
)

// upgrading is a request with Upgrade: h2c; extra lines end with CRLF.
func upgrading(settings, extra string) string {
	return "GET /a?b HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" +
		"HTTP2-Settings: " + settings + "\r\n" + extra + "\r\n"
}

func encodeSettings(s ...frame.Setting) string {
	return base64.RawURLEncoding.EncodeToString(frame.AppendSettings(nil, s...)[frame.HeaderLen:])
}

// afterHeader is a connection of which a buffered reader has taken the header of the answer.
type afterHeader struct {
	memconn.End
	r *bufio.Reader
}

func (c afterHeader) Read(p []byte) (int, error) { return c.r.Read(p) }

func TestUpgrade(t *testing.T) {
	needsHTTP1(t)
	for _, early := range []bool{false, true} {
		t.Run(fmt.Sprintf("preface at once %t", early), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var st states
				srv := serving(func(w http.ResponseWriter, r *http.Request) {
					fmt.Fprintf(w, "%s %s %s %q", r.Method, r.RequestURI, r.Proto, r.Header)
				})
				srv.AllowH2CUpgrade = true
				srv.ConnState = st.note
				client, server := memconn.Connect(clearLink(t))
				over := make(chan struct{})
				go func() {
					defer close(over)
					srv.ServeConn(server)
				}()
				hello := string(frame.AppendSettings([]byte(frame.Preface)))
				// A window of 5 shows that the settings of the request are in force at once.
				request := upgrading(encodeSettings(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 5}), "X-A: 1\r\n")
				if early {
					request += hello
				}
				_, _ = io.WriteString(client, request)
				br := bufio.NewReader(client)
				resp, err := http.ReadResponse(br, nil)
				if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "h2c" ||
					resp.Header.Get("Connection") != "Upgrade" {
					t.Fatalf("%v, %v", resp, err)
				}
				p := peerOn(t, afterHeader{client, br})
				if !early {
					p.write([]byte(hello))
				}
				p.want(
					"stream 1",
					`HEADERS 1 :status=200 content-type=text/plain; charset=utf-8 content-length=34`,
					`DATA 1 "GET /"`,
				)
				p.send(frame.WindowUpdate{StreamID: 1, Increment: 1000})
				p.want("the rest", `DATA 1 "a?b HTTP/2.0 map[\"X-A\":[\"1\"]]" END_STREAM`)
				p.get(3)
				synctest.Wait()
				if got := p.take(); len(got) != 2 {
					t.Errorf("stream 3: %q", got)
				}
				_ = client.Close()
				<-over
				synctest.Wait()
				if got := st.list; got[0] != "0 new" || got[len(got)-1] != "0 closed" || slices.Contains(got, "0 hijacked") ||
					len(st.conns) != 1 {
					t.Errorf("states %q", got)
				}
			})
		})
	}
}

func TestUpgradeRefused(t *testing.T) {
	good := encodeSettings(frame.Setting{ID: frame.SettingEnablePush, Value: 0})
	for _, c := range []struct {
		name, request string
		adjust        func(*Server)
	}{
		{"not allowed", upgrading(good, ""), func(s *Server) { s.AllowH2CUpgrade = false }},
		{"no cleartext HTTP/2", upgrading(good, ""), func(s *Server) {
			s.Protocols = &http.Protocols{}
			s.Protocols.SetHTTP1(true)
		}},
		{"no settings", strings.Replace(upgrading(good, ""), "HTTP2-Settings: "+good+"\r\n", "", 1), nil},
		{"two settings", upgrading(good, "HTTP2-Settings: "+good+"\r\n"), nil},
		{"settings not in Connection", strings.Replace(upgrading(good, ""), ", HTTP2-Settings", "", 1), nil},
		{"padding in base64", upgrading("AAMAAABk=", ""), nil},
		{"no base64", upgrading("****", ""), nil},
		{"other protocol", strings.Replace(upgrading(good, ""), "h2c", "h2", 1), nil},
		{"HTTP/1.0", strings.Replace(upgrading(good, ""), "HTTP/1.1", "HTTP/1.0", 1), nil},
		{"body", upgrading(good, "Content-Length: 1\r\n") + "x", nil},
		{"chunked body", upgrading(good, "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serving(okHandler)
				srv.AllowH2CUpgrade = true
				if c.adjust != nil {
					c.adjust(srv)
				}
				client, server := memconn.Connect(clearLink(t))
				go srv.ServeConn(server)
				if got := http1(t, client, c.request); !strings.HasPrefix(got, "200 OK ok HTTP/1.") {
					t.Errorf("answer %s", got)
				}
				_ = client.Close()
			})
		})
	}
}

func TestUpgradeWithBadSettings(t *testing.T) {
	needsHTTP1(t)
	synctest.Test(t, func(t *testing.T) {
		srv := serving(okHandler)
		srv.AllowH2CUpgrade = true
		srv.ErrorLog = log.New(io.Discard, "", 0)
		client, server := memconn.Connect(clearLink(t))
		go srv.ServeConn(server)
		bad := encodeSettings(frame.Setting{ID: frame.SettingMaxFrameSize, Value: 1})
		_, _ = io.WriteString(client, upgrading(bad, ""))
		br := bufio.NewReader(client)
		if _, err := http.ReadResponse(br, nil); err != nil {
			t.Fatal(err)
		}
		p := peerOn(t, afterHeader{client, br})
		synctest.Wait()
		if got := p.take(); len(got) == 0 || !strings.HasPrefix(got[0], "GOAWAY 0 PROTOCOL_ERROR") {
			t.Errorf("%q", got)
		}
		_ = client.Close()
	})
}

// TestShutdownOfUpgraded: Shutdown knows of connections that began as HTTP/1.1.
func TestShutdownOfUpgraded(t *testing.T) {
	needsHTTP1(t)
	synctest.Test(t, func(t *testing.T) {
		srv := serving(okHandler)
		srv.AllowH2CUpgrade = true
		l := memconn.Listen(clearLink(t))
		served := make(chan error)
		go func() { served <- srv.Serve(l) }()
		var nc net.Conn
		nc, _ = l.Dial(t.Context(), "", "")
		_, _ = io.WriteString(nc, upgrading(encodeSettings(), "")+string(frame.AppendSettings([]byte(frame.Preface))))
		br := bufio.NewReader(nc)
		if _, err := http.ReadResponse(br, nil); err != nil {
			t.Fatal(err)
		}
		p := peerOn(t, afterHeader{nc.(memconn.End), br})
		synctest.Wait()
		p.take()
		go func() { _ = srv.Shutdown(t.Context()) }()
		p.want("drained", "GOAWAY 2147483647 NO_ERROR", "GOAWAY 1 NO_ERROR", "closed")
		<-served
		_ = nc.Close()
	})
}
