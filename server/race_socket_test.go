//go:build race

package server_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
)

// order has two goroutines use one variable in turns, with nothing to order them but the socket, as
// it orders two programs.
func order(t *testing.T, rt http.RoundTripper, s interface{ Serve(l net.Listener) error }, l net.Listener, turn *int) {
	go s.Serve(l) // ends with the listener
	for range 3 {
		*turn++ // the handler reads and changes it
		resp, err := rt.RoundTrip(newRequest("http://"+l.Addr().String(), nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		*turn++
	}
	if *turn != 9 {
		t.Errorf("%d turns", *turn)
	}
}

// The race detector knows that what one end of a socket has done before it wrote comes before what
// the other does after it has read: in either direction, whatever is at the other end.
func TestRaceSocketOrders(t *testing.T) {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	for _, name := range []string{"server", "client", "both"} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			turn := 0
			h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { turn++ })
			hs := &http.Server{Handler: h, Protocols: &p}
			ss := &server.Server{Handler: h, Protocols: &p}
			defer hs.Close()
			defer ss.Close()
			ht := &http.Transport{Protocols: &p}
			st := &client.Transport{Protocols: &p}
			defer ht.CloseIdleConnections()
			defer st.CloseIdleConnections()
			switch name {
			case "server":
				order(t, ht, ss, l, &turn)
			case "client":
				order(t, st, hs, l, &turn)
			default:
				order(t, st, ss, l, &turn)
			}
		})
	}
}

const racyChild = "SLUICE_TEST_RACY_CHILD"

// A handler that changes memory while Write sends it is found by the race detector, although
// nothing of ours copies it. It runs in a process of its own, since the detector fails a test that
// has a race.
func TestRaceBorrowedMemory(t *testing.T) {
	if os.Getenv(racyChild) != "" {
		runRacyChild(t)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestRaceBorrowedMemory$")
	cmd.Env = append(os.Environ(), racyChild+"=1", "GORACE=halt_on_error=1 atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "DATA RACE") || !strings.Contains(string(out), "internal/socket") {
		t.Errorf("the race detector has not found it: %v\n%.2000s", err, out)
	}
}

func runRacyChild(t *testing.T) {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server.Server{Protocols: &p, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		body := make([]byte, 1<<20)
		begun, done := make(chan struct{}), make(chan struct{})
		go func() { // ends by itself
			defer close(done)
			<-begun
			body[len(body)/2] = 1
		}()
		w.Header().Set("Content-Type", "text/plain") // or else body would be looked at for it
		close(begun)
		_, _ = w.Write(body)
		<-done
	})}
	go s.Serve(l) // ends with Close
	defer s.Close()
	tr := &client.Transport{Protocols: &p}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(newRequest("http://"+l.Addr().String(), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 1<<20)
	for err == nil {
		_, err = resp.Body.Read(buf)
	}
}
