//go:build !nethttpomithttp2

package server

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// ReadFrom waits for a source and for a client that pause, in large pieces and in small ones, and
// nothing is lost.
func TestReadFromWithPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pieces := [][]byte{
			bytes.Repeat([]byte("a"), copySmall), bytes.Repeat([]byte("b"), 3*copyLarge+17), []byte("c"),
			bytes.Repeat([]byte("d"), copySmall+1), bytes.Repeat([]byte("e"), 9<<20),
		}
		var all []byte
		for _, p := range pieces {
			all = append(all, p...)
		}
		var copied int64
		s := newTestServer(t, kindServer, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			pr, pw := io.Pipe()
			go func() {
				for _, p := range pieces {
					_, _ = pw.Write(p) // the reader takes all
					time.Sleep(time.Hour)
				}
				pw.Close()
			}()
			n, err := w.(io.ReaderFrom).ReadFrom(pr)
			if err != nil {
				t.Errorf("ReadFrom: %v", err)
			}
			copied = n
		}))
		resp := s.get("/")
		var got []byte
		buf := make([]byte, 100_000)
		for {
			n, err := resp.Body.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if !bytes.Equal(got, all) || copied != int64(len(all)) {
			t.Errorf("%d octets have come, and %d were copied, of %d", len(got), copied, len(all))
		}
		s.stop()
	})
}
