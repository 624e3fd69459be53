package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"
)

// Pages with pushes that some ask for and some do not, on connections that come and go: nothing is
// left over, and no request gets the response of another.
func TestPushCacheStress(t *testing.T) {
	if testKind == memconn.TLS {
		t.Skip("a server on TLS pushes for https, and the requests here are for http")
	}
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/page") {
				for i := range 3 {
					_ = w.(http.Pusher).Push(fmt.Sprintf("/asset%s-%d", r.URL.Path[5:], i), nil)
				}
			}
			time.Sleep(time.Duration(len(r.URL.Path)%3) * time.Millisecond)
			for range 5 {
				_, _ = io.WriteString(w, strings.Repeat(r.URL.Path+"\n", 100))
			}
		}))
		tr := s.transport(func(tr *Transport) {
			tr.PushCache = &PushCache{MaxResponses: 20, MaxBytes: 50_000, MaxAge: 20 * time.Millisecond}
		})
		var wg sync.WaitGroup
		for g := range 8 {
			rnd := rand.New(rand.NewPCG(1, uint64(g)))
			wg.Go(func() {
				for i := range 50 {
					fetch(t, tr, fmt.Sprintf("/page%d-%d", g, i), rnd)
					for k := range 3 {
						if rnd.IntN(3) > 0 {
							fetch(t, tr, fmt.Sprintf("/asset%d-%d-%d", g, i, k), rnd)
						}
					}
					if rnd.IntN(20) == 0 {
						tr.CloseIdleConnections()
					}
				}
			})
		}
		wg.Wait()
		got := tr.PushCache.Stats()
		t.Logf("%+v, %+v", got, tr.Stats())
		if got.Stored == 0 || got.Matched == 0 || got.Dropped == 0 {
			t.Errorf("too little has happened: %+v", got)
		}
		s.stop(tr)
		synctest.Wait()
		if got := tr.PushCache.Stats(); got.Responses != 0 || got.Bytes != 0 ||
			got.Stored != got.Matched+got.Mismatched+got.Dropped {
			t.Errorf("in the end the cache has %+v", got)
		}
	})
}

// fetch gets a path, or gives up on the way.
func fetch(t *testing.T, tr *Transport, path string, rnd *rand.Rand) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if rnd.IntN(10) == 0 {
		time.AfterFunc(time.Duration(rnd.IntN(3))*time.Millisecond, cancel)
	}
	resp, err := tr.RoundTrip(newRequest(t, "GET", testURL+path, nil).WithContext(ctx))
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", path, err)
		}
		return
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && string(b) != strings.Repeat(path+"\n", 500) || err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("%s: %d octets, %v", path, len(b), err)
	}
}
