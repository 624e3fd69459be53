package server

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A client that has sent its request whole, and closes its direction of the connection when the
// handler has returned, gets the response whole, however much of it the socket has not taken yet.
func TestResponseOfHalfClosedClient(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, size := range []int{100, 1 << 20, 4 << 20} {
			for _, piece := range []int{4 << 10, size} {
				t.Run(fmt.Sprintf("TLS %t %d by %d", secure, size, piece), func(t *testing.T) {
					t.Parallel()
					testHalfClosed(t, secure, size, piece)
				})
			}
		}
	}
}

func testHalfClosed(t *testing.T, secure bool, size, piece int) {
	srv := serving(func(w http.ResponseWriter, _ *http.Request) {
		for left := size; left > 0; left -= min(piece, left) {
			if _, err := w.Write(make([]byte, min(piece, left))); err != nil {
				t.Errorf("Write: %v", err)
			}
		}
	})
	nc := listenLocal(t, srv, secure)()
	defer nc.Close()
	_ = underTLS(nc).(*net.TCPConn).SetReadBuffer(64 << 10)
	const window = 1 << 30
	p := &peer{t: t, codec: h2test.NewCodec()}
	b := frame.NewSettings(frame.Setting{ID: frame.SettingInitialWindowSize, Value: window}).Append([]byte(frame.Preface))
	b = frame.WindowUpdate{Increment: window}.Append(b)
	b = p.codec.Append(frame.AppendSettingsAck(b), p.request(1, "GET", "/", true))
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
	r := frame.NewReader(nc)
	open := true
	for got := 0; ; {
		if s := srv.Stats(); open && s.Requests == 1 && s.Running == 0 {
			open = false
			if err := nc.(halfCloser).CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}
		h, payload, err := r.Next()
		if err != nil {
			t.Fatalf("after %d of %d octets: %v", got, size, err)
		}
		f, err := frame.Parse(h, payload)
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := f.(frame.Data); ok {
			if got += len(d.Data); d.EndStream {
				if got != size {
					t.Errorf("%d of %d octets", got, size)
				}
				return
			}
		}
	}
}
