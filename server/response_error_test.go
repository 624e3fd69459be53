package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// failingSource gives some octets and then an error.
type failingSource struct {
	left int
	err  error
}

func (s *failingSource) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, s.err
	}
	n := min(len(p), s.left)
	s.left -= n
	return n, nil
}

// Only io.EOF itself is the end of what is copied: an error that wraps it is one, before and after
// the first octets.
func TestReadFromErrorThatWrapsEOF(t *testing.T) {
	for _, octets := range []int{0, 10, copySmall, 3 * copyLarge} {
		wrapped := fmt.Errorf("disk: %w", io.EOF)
		withPeer(t, func(w http.ResponseWriter, _ *http.Request) {
			n, err := io.Copy(w, &failingSource{octets, wrapped})
			if err != wrapped || n != int64(octets) {
				t.Errorf("%d octets: %d, %v", octets, n, err)
			}
			if err != nil {
				panic(http.ErrAbortHandler)
			}
		}, func(t *testing.T, p *peer) {
			p.send(frame.WindowUpdate{StreamID: 0, Increment: 1 << 20})
			p.write(frame.AppendSettings(nil, frame.Setting{ID: frame.SettingInitialWindowSize, Value: 1 << 20}))
			p.get(1)
			synctest.Wait()
			got := p.take()
			if last := got[len(got)-1]; last != "RST_STREAM 1 INTERNAL_ERROR" {
				t.Errorf("%d octets: the last frame is %s", octets, last)
			}
		})
	}
}

// A client that is gone is no end of what is copied.
func TestReadFromToLostClient(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		n, err := io.Copy(w, strings.NewReader("some octets"))
		if err == nil {
			t.Errorf("copied %d octets to nobody without an error", n)
		}
	}, func(_ *testing.T, p *peer) {
		p.get(1)
		synctest.Wait()
		_ = p.nc.Close()
	})
}

// A loop of small writes and flushes ends when the stream has died, by whichever of its calls is
// asked.
func TestSmallWritesSeeDeadStream(t *testing.T) {
	for name, loop := range map[string]func(w http.ResponseWriter) error{
		"Write": func(w http.ResponseWriter) error {
			_, err := io.WriteString(w, "x")
			return err
		},
		"Write and Flush": func(w http.ResponseWriter) error {
			_, err := io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			return err
		},
		"FlushError": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"ReadFrom": func(w http.ResponseWriter) error {
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("x"))
			return err
		},
	} {
		for end, leave := range map[string]func(p *peer){
			"reset": func(p *peer) { p.send(frame.RSTStream{StreamID: 1, Code: frame.Cancel}) },
			"lost":  func(p *peer) { _ = p.nc.Close() },
		} {
			t.Run(name+" "+end, func(t *testing.T) {
				rounds := 0
				withPeer(t, func(w http.ResponseWriter, _ *http.Request) {
					for ; rounds < 100; rounds++ {
						if err := loop(w); err != nil {
							if again := loop(w); !errors.Is(again, err) {
								t.Errorf("%v, and then %v", err, again)
							}
							return
						}
						time.Sleep(time.Second)
					}
				}, func(_ *testing.T, p *peer) {
					p.get(1)
					time.Sleep(2500 * time.Millisecond)
					leave(p)
					time.Sleep(200 * time.Second)
				})
				if rounds != 3 {
					t.Errorf("the handler saw it in round %d, want 3", rounds)
				}
			})
		}
	}
}

// What could not be sent is a hole: nothing follows it, and the response does not end well.
func TestHoleInResponse(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		_, _ = io.WriteString(w, "A")
		if err := rc.Flush(); err != nil {
			t.Errorf("flush: %v", err)
		}
		_ = rc.SetWriteDeadline(time.Now().Add(-1))
		_, _ = io.WriteString(w, "B")
		if err := rc.Flush(); err == nil {
			t.Error("flush after the deadline: no error")
		}
		_ = rc.SetWriteDeadline(time.Time{})
		if _, err := io.WriteString(w, "C"); err == nil {
			t.Error("write after what was lost: no error")
		}
	}, func(_ *testing.T, p *peer) {
		p.get(1)
		p.want("not complete", "HEADERS 1 :status=200 content-type=text/plain; charset=utf-8", `DATA 1 "A"`,
			"RST_STREAM 1 INTERNAL_ERROR")
	})
}

// A Write that does not fit the declared length leaves no room for a later one that would.
func TestWriteAfterTooMuch(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		w.Header().Set("Content-Type", "x")
		for _, s := range []string{"too much", "small"} {
			if n, err := io.WriteString(w, s); n != 0 || !errors.Is(err, http.ErrContentLength) {
				t.Errorf("%q: %d, %v", s, n, err)
			}
		}
	}, func(_ *testing.T, p *peer) {
		p.get(1)
		p.want("not complete", "HEADERS 1 :status=200 content-type=x content-length=5", "RST_STREAM 1 INTERNAL_ERROR")
	})
}
