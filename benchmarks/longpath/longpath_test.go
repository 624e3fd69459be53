package longpath

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/server"
)

const size = 512 << 20

// A path is a link in both directions, whose sender never waits for TCP.
type path struct {
	name string
	rate int64 // octets a second
	rtt  time.Duration
}

var paths = []path{
	{"1 Gbit/s, 100 ms", 125_000_000, 100 * time.Millisecond},
	{"10 Gbit/s, 10 ms", 1_250_000_000, 10 * time.Millisecond},
}

func (p path) listen() *memconn.Listener {
	return memconn.Listen(memconn.Options{Latency: p.rtt / 2, Bandwidth: p.rate, Buffer: 64 << 20})
}

// answer answers GET with size octets, and POST when the body is read.
func answer(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(size))
	buf := make([]byte, 256<<10)
	for range size / len(buf) {
		if _, err := w.Write(buf); err != nil {
			return
		}
	}
}

// zeros is a body without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type (
	httpServer interface {
		Serve(l net.Listener) error
		Close() error
	}
	httpClient interface {
		http.RoundTripper
		CloseIdleConnections()
	}
)

func newServer(ours bool, h2c *http.Protocols) httpServer {
	if ours {
		return &server.Server{Handler: http.HandlerFunc(answer), Protocols: h2c}
	}
	return &http.Server{Handler: http.HandlerFunc(answer), Protocols: h2c}
}

func newClient(ours bool, h2c *http.Protocols, l *memconn.Listener) httpClient {
	if ours {
		return &client.Transport{Protocols: h2c, DialContext: l.Dial}
	}
	return &http.Transport{Protocols: h2c, DialContext: l.Dial}
}

// move moves size octets in one stream of a new connection and returns how long that took. It runs
// in a bubble.
func move(t *testing.T, p path, oursClient, oursServer, upload bool) time.Duration {
	l := p.listen()
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	srv, c := newServer(oursServer, h2c), newClient(oursClient, h2c, l)
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()
	defer func() {
		c.CloseIdleConnections()
		_ = srv.Close()
		<-served
	}()

	req, want := httpRequest(t, upload), int64(size)
	if upload {
		want = int64(len(fmt.Sprint(size, nil)))
	}
	start := time.Now()
	resp, err := c.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	took := time.Since(start)
	if n != want || err != nil {
		t.Fatalf("%d octets have come, and %v", n, err)
	}
	_ = resp.Body.Close()
	return took
}

func httpRequest(t *testing.T, upload bool) *http.Request {
	method, body := http.MethodGet, io.Reader(nil)
	if upload {
		method, body = http.MethodPost, io.LimitReader(zeros{}, size)
	}
	req, err := http.NewRequest(method, "http://sluice.test/", body)
	if err != nil {
		t.Fatal(err)
	}
	if upload {
		req.ContentLength = size
	}
	return req
}

// One stream fills at least 90 % of a path whose bandwidth times delay is 12.5 MB, in both
// directions, with nothing configured. net/http is there for comparison.
func TestLongPath(t *testing.T) {
	names := map[bool]string{true: "sluice", false: "net/http"}
	var table strings.Builder
	fmt.Fprintln(&table, "| path | sender | receiver | direction | time | of the path |")
	fmt.Fprintln(&table, "|---|---|---|---|---|---|")
	for _, p := range paths {
		for _, ends := range [][2]bool{{true, true}, {true, false}, {false, true}, {false, false}} { // sender, receiver
			for _, upload := range []bool{false, true} {
				ours := ends[0] && ends[1]
				if testing.Short() && !ours {
					continue
				}
				direction, c, s := "download", ends[1], ends[0]
				if upload {
					direction, c, s = "upload", ends[0], ends[1]
				}
				var took time.Duration
				synctest.Test(t, func(t *testing.T) { took = move(t, p, c, s, upload) })
				share := float64(size) / float64(p.rate) / took.Seconds()
				fmt.Fprintf(&table, "| %s | %s | %s | %s | %v | %.1f %% |\n",
					p.name, names[ends[0]], names[ends[1]], direction, took.Round(100*time.Microsecond), 100*share)
				// The receiver gives credit; but sluice as a sender must not be the limit either.
				if ends[1] && share < 0.9 {
					t.Errorf("%s of 512 MiB over %s from %s: %.1f %% of the path", direction, p.name, names[ends[0]], 100*share)
				}
			}
		}
	}
	t.Log("\n" + table.String())
}
