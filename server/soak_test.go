//go:build !nethttpomithttp2

package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// soakHandler answers as the request wants it, among other things with what it was sent.
func soakHandler(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		w.Header().Set("Trailer", "X-Length")
		n, err := io.Copy(w, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Length", strconv.FormatInt(n, 10))
	case "/wait":
		<-r.Context().Done()
	case "/abort":
		_, _ = w.Write(make([]byte, 10_000))
		panic(http.ErrAbortHandler)
	case "/ignore":
		_, _ = io.WriteString(w, "no thanks")
	case "/stream":
		for i := range 20 {
			fmt.Fprintln(w, i)
			w.(http.Flusher).Flush()
		}
	default:
		_, _ = io.WriteString(w, r.URL.Path)
	}
}

// TestSoak has many clients do everything at once over TCP and TLS, for the race detector to watch.
func TestSoak(t *testing.T) {
	ts := httptest.NewUnstartedServer(http.HandlerFunc(soakHandler))
	ts.EnableHTTP2 = true
	if err := Configure(ts.Config, &Config{MaxReceiveBufferPerStream: 32 << 10}); err != nil {
		t.Fatal(err)
	}
	ts.StartTLS()
	defer ts.Close()
	blob := make([]byte, 300_000)
	_, _ = rand.Read(blob) // never fails
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 40 {
				if err := soakOnce(ts, blob); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func soakOnce(ts *httptest.Server, blob []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	path := []string{"/echo", "/echo", "/wait", "/abort", "/ignore", "/stream", "/plain"}[mrand.IntN(7)]
	var body io.Reader
	sent := blob[:mrand.IntN(len(blob))]
	method := http.MethodGet
	if path == "/echo" || path == "/ignore" {
		method = http.MethodPost
		body = io.MultiReader(bytes.NewReader(sent)) // of unknown length
	}
	if path == "/wait" {
		time.AfterFunc(time.Duration(mrand.IntN(int(5*time.Millisecond))), cancel)
	}
	req, err := http.NewRequestWithContext(ctx, method, ts.URL+path, body)
	if err != nil {
		return err
	}
	resp, err := ts.Client().Do(req)
	if err != nil {
		if path == "/abort" || path == "/wait" && errors.Is(err, context.Canceled) {
			return nil
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case path == "/abort" && err == nil:
		return errors.New("aborted response was complete")
	case path == "/abort":
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	case resp.ProtoMajor != 2:
		return errors.New(resp.Proto)
	case path == "/echo" && (!bytes.Equal(got, sent) || resp.Trailer.Get("X-Length") != strconv.Itoa(len(sent))):
		return fmt.Errorf("echo of %d octets has %d, trailer %q", len(sent), len(got), resp.Trailer)
	case path == "/plain" && string(got) != path:
		return fmt.Errorf("%q", got)
	}
	return nil
}

// FuzzConnection feeds a live server with whatever comes. It must not crash, and nothing may be
// left of the connection when the client has gone.
func FuzzConnection(f *testing.F) {
	p := &peer{codec: h2test.NewCodec()}
	head := func(id uint32, path string, end bool) []byte {
		return p.codec.Append(nil, p.request(id, "POST", path, end))
	}
	f.Add([]byte{})
	f.Add(head(1, "/plain", true))
	f.Add(append(head(1, "/echo", false), data(1, "hello", true).Append(nil)...))
	f.Add(append(head(1, "/wait", false), frame.RSTStream{StreamID: 1, Code: frame.Cancel}.Append(nil)...))
	f.Add(append(head(1, "/stream", true), frame.GoAway{}.Append(nil)...))
	f.Add(append(head(1, "/abort", false), frame.WindowUpdate{StreamID: 1, Increment: 1 << 30}.Append(nil)...))
	f.Add(append(head(3, "/ignore", false), data(3, "x", false).Append(nil)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t, serving(soakHandler))
			p.write(b)
			time.Sleep(time.Second)
			p.close()
		})
	})
}
