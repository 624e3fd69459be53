package client

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

var replayRequests = flag.Int("replay.requests", 2400, "requests of TestReplayStress")

// refuser is a server that answers with the checksum of what it got, or refuses in one of many
// ways.
type refuser struct {
	nc      net.Conn
	fr      *http2.Framer
	enc     *hpack.Encoder
	block   bytes.Buffer
	streams map[uint32]*refuserStream
	last    uint32 // that is processed; 0: no GOAWAY was sent
}

type refuserStream struct {
	sum, fate uint32
	n, at     int
}

// What becomes of a stream.
const (
	fateAnswer = iota
	fateRefuse
	fateGoAway
	fateCut
	fateEarly
	fateEarlyReset
)

func newFate() (fate uint32) {
	switch n := rand.IntN(100); {
	case n < 60:
		return fateAnswer
	case n < 82:
		return fateRefuse
	case n < 88:
		return fateGoAway
	case n < 90:
		return fateCut
	case n < 95:
		return fateEarly
	}
	return fateEarlyReset
}

func serveRefuser(nc net.Conn) {
	defer nc.Close()
	if _, err := io.ReadFull(nc, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	s := &refuser{nc: nc, fr: http2.NewFramer(nc, nc), streams: make(map[uint32]*refuserStream)}
	s.enc = hpack.NewEncoder(&s.block)
	dec := hpack.NewDecoder(4096, nil)
	_ = s.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(1 << (10 + rand.IntN(10)))})
	for s.last == 0 || len(s.streams) > 0 {
		f, err := s.fr.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = s.fr.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = s.fr.WritePing(true, f.Data)
			}
		case *http2.RSTStreamFrame:
			delete(s.streams, f.StreamID)
		case *http2.HeadersFrame:
			if _, err := dec.DecodeFull(f.HeaderBlockFragment()); err != nil {
				return
			}
			if s.last == 0 || f.StreamID <= s.last {
				s.streams[f.StreamID] = &refuserStream{fate: newFate(), at: rand.IntN(1 << rand.IntN(18))}
				s.got(f.StreamID, nil, f.StreamEnded())
			}
		case *http2.DataFrame:
			if n := f.Length; n > 0 {
				_ = s.fr.WriteWindowUpdate(0, n)
				if _, ok := s.streams[f.StreamID]; ok && !f.StreamEnded() {
					_ = s.fr.WriteWindowUpdate(f.StreamID, n)
				}
			}
			s.got(f.StreamID, f.Data(), f.StreamEnded())
		}
	}
}

// got takes a piece of a request's body.
func (s *refuser) got(id uint32, p []byte, end bool) {
	st := s.streams[id]
	if st == nil {
		return
	}
	st.sum = crc32.Update(st.sum, crc32.IEEETable, p)
	st.n += len(p)
	if st.fate != fateAnswer && (st.n >= st.at || end) {
		s.refuse(id, st.fate)
	} else if end {
		s.respond(id, "200", strconv.Itoa(int(st.sum)), strconv.Itoa(st.n))
		delete(s.streams, id)
	}
}

func (s *refuser) refuse(id, fate uint32) {
	switch fate {
	case fateRefuse:
		_ = s.fr.WriteRSTStream(id, http2.ErrCodeRefusedStream)
	case fateGoAway:
		if s.last == 0 || id <= s.last {
			s.last = max(id, 2) - 2
			if id == 1 {
				s.last = 0
			}
			_ = s.fr.WriteGoAway(s.last, http2.ErrCodeNo, nil)
			for other := range s.streams {
				if other > s.last {
					delete(s.streams, other)
				}
			}
			if s.last == 0 {
				_ = s.nc.Close()
			}
		}
	case fateCut:
		_ = s.nc.Close()
	case fateEarly, fateEarlyReset:
		s.respond(id, "413", "", "")
		if fate == fateEarlyReset {
			_ = s.fr.WriteRSTStream(id, http2.ErrCodeNo)
		}
	}
	delete(s.streams, id)
}

func (s *refuser) respond(id uint32, status, sum, n string) {
	s.block.Reset()
	for _, f := range [][2]string{{":status", status}, {"x-sum", sum}, {"x-n", n}} {
		_ = s.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_ = s.fr.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: s.block.Bytes(), EndHeaders: true, EndStream: true,
	})
}

// watchedBody is a body that gives its octets in odd pieces, and records what must not happen to
// it.
type watchedBody struct {
	rest    []byte
	reading atomic.Int32
	closes  atomic.Int32
	fault   atomic.Pointer[string]
}

func (b *watchedBody) Read(p []byte) (n int, err error) {
	if b.reading.Add(1) != 1 {
		b.fail("two Reads at once")
	}
	defer b.reading.Add(-1)
	for range rand.IntN(4) {
		runtime.Gosched()
	}
	if rand.IntN(20) == 0 {
		return 0, nil
	}
	n = copy(p, b.rest[:min(len(b.rest), 1+rand.IntN(1<<rand.IntN(17)))])
	b.rest = b.rest[n:]
	if len(b.rest) == 0 && (n == 0 || rand.IntN(2) == 0) {
		err = io.EOF
	}
	return n, err
}

func (b *watchedBody) fail(s string) { b.fault.CompareAndSwap(nil, &s) }

func (b *watchedBody) Close() error {
	b.closes.Add(1)
	return nil
}

// closedOnce waits until the body is closed.
func (b *watchedBody) closedOnce(t *testing.T, what string) {
	for deadline := time.Now().Add(time.Minute); b.closes.Load() == 0 && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if n := b.closes.Load(); n != 1 {
		t.Errorf("%s: the body was closed %d times", what, n)
	}
	if s := b.fault.Load(); s != nil {
		t.Errorf("%s: %s", what, *s)
	}
}

// stressBody makes a request with one of many kinds of body, and returns the bodies that must be
// closed.
func stressBody(t *testing.T, url, file string, data []byte) (req *http.Request, kind int, bodies *[]*watchedBody) {
	bodies = new([]*watchedBody)
	watched := func() (io.ReadCloser, error) {
		b := &watchedBody{rest: data}
		*bodies = append(*bodies, b)
		return b, nil
	}
	kind = rand.IntN(6)
	var body io.Reader
	switch kind {
	case 0, 1:
		body = bytes.NewReader(data)
	case 2, 3, 4:
		body, _ = watched()
	case 5:
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		body = io.NopCloser(io.LimitReader(f, int64(len(data))))
		t.Cleanup(func() { _ = f.Close() })
	}
	req = newRequest(t, "POST", url, body)
	switch kind {
	case 1:
		req.GetBody = nil
	case 3, 5:
		req.ContentLength = int64(len(data))
	case 4:
		req.GetBody = watched
	}
	if len(data) == 0 {
		req.ContentLength = -1
	}
	return req, kind, bodies
}

// A request that succeeds has arrived whole, however often and in whatever way it was refused
// before; each body is read by one goroutine at a time, and closed once.
func TestReplayStress(t *testing.T) {
	l := listenTCP(t)
	var servers sync.WaitGroup
	t.Cleanup(servers.Wait)
	servers.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			servers.Go(func() { serveRefuser(nc) })
		}
	})
	data := pattern(200 << 10)
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var whole, early, failed atomic.Int64
	var clients sync.WaitGroup
	for _, keep := range []int{-1, 1 << 10, 64 << 10, 1 << 20} {
		tr := &Transport{Protocols: h2cOnly(), Proxy: noProxy, ReplayBuffer: keep, MaxAttempts: 4}
		for range 6 {
			clients.Go(func() {
				for range *replayRequests / 24 {
					switch stressRequest(t, tr, "http://"+l.Addr().String(), file, data[:rand.IntN(1<<rand.IntN(18))]) {
					case 200:
						whole.Add(1)
					case 413:
						early.Add(1)
					default:
						failed.Add(1)
					}
				}
			})
		}
		t.Cleanup(tr.CloseIdleConnections)
	}
	clients.Wait()
	t.Logf("%d whole, %d answered early, %d failed", whole.Load(), early.Load(), failed.Load())
	if whole.Load() < int64(*replayRequests/3) || early.Load() == 0 || failed.Load() == 0 {
		t.Error("something did not happen")
	}
	_ = l.Close()
}

// stressRequest sends one request and judges what came of it. It returns the status, 0 for an
// error.
func stressRequest(t *testing.T, tr *Transport, url, file string, data []byte) (status int) {
	req, kind, bodies := stressBody(t, url, file, data)
	if rand.IntN(4) == 0 {
		late := func() {
			for range 100 {
				runtime.Gosched()
			}
		}
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{WroteHeaders: late}))
	}
	what := fmt.Sprintf("kind %d, %d octets, ReplayBuffer %d", kind, len(data), tr.ReplayBuffer)
	resp, err := tr.RoundTrip(req)
	if err == nil {
		status = resp.StatusCode
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		sum, n := strconv.Itoa(int(crc32.ChecksumIEEE(data))), strconv.Itoa(len(data))
		if h := resp.Header; status == 200 && (h.Get("X-Sum") != sum || h.Get("X-N") != n) {
			t.Errorf("%s: %s octets have arrived, of checksum %s, want %s", what, h.Get("X-N"), h.Get("X-Sum"), sum)
		}
	} else if e := (*Error)(nil); !errors.As(err, &e) {
		t.Errorf("%s: %v", what, err)
	}
	for _, b := range *bodies {
		b.closedOnce(t, what)
	}
	return status
}
