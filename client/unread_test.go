package client

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/server"
)

// 40 downloads that are begun, and then read one after another, all come to their end with the
// windows of the default.
func TestManyDownloadsReadInOrder(t *testing.T) {
	const n, size = 40, 8 << 20
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.CopyN(w, zeroReader{}, size)
		}))
		tr := s.transport()
		var all []*http.Response
		for range n {
			resp, err := tr.RoundTrip(newRequest(t, "GET", testURL+"/", nil))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, resp)
		}
		synctest.Wait()
		for i, resp := range all {
			stuck := time.AfterFunc(time.Minute, func() { panic("a body that is read waits for those that are not") })
			k, err := io.Copy(io.Discard, resp.Body)
			if err != nil || k != size {
				t.Fatalf("body %d: %d octets, %v", i, k, err)
			}
			stuck.Stop()
			_ = resp.Body.Close()
		}
		s.stop(tr)
	})
}

// A handler that reads one upload after another, across requests, gets all of them.
func TestManyUploadsReadInOrder(t *testing.T) {
	const n, size = 40, 2 << 20
	synctest.Test(t, func(t *testing.T) {
		type upload struct {
			body io.Reader
			done chan struct{}
		}
		uploads := make(chan upload, n)
		s := newTestServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			u := upload{r.Body, make(chan struct{})}
			uploads <- u
			<-u.done
		}), func(srv *server.Server) { srv.MaxUnreadPerConnection = 1 << 20 })
		tr := s.transport()
		answers := make(chan error, n)
		for range n {
			go func() { // ends with the request
				resp, err := tr.RoundTrip(newRequest(t, "POST", testURL+"/", io.LimitReader(zeroReader{}, size)))
				if err == nil {
					_ = resp.Body.Close()
				}
				answers <- err
			}()
		}
		synctest.Wait()
		for i := range n {
			stuck := time.AfterFunc(time.Minute, func() { panic("an upload that is read waits for those that are not") })
			u := <-uploads
			k, err := io.Copy(io.Discard, u.body)
			if err != nil || k != size {
				t.Fatalf("upload %d: %d octets, %v", i, k, err)
			}
			stuck.Stop()
			close(u.done)
		}
		for range n {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		s.stop(tr)
	})
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }
