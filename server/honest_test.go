package server

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// wantNoEnd fails when the server has said GOAWAY or has closed, and returns how many responses
// with status 200 came since the last time.
func (p *peer) wantNoEnd(why string) (responses int) {
	p.t.Helper()
	synctest.Wait()
	for _, line := range p.take() {
		switch {
		case strings.HasPrefix(line, "GOAWAY"), strings.HasSuffix(line, "closed"):
			p.t.Fatalf("%s: %s", why, line)
		case strings.Contains(line, ":status=200"):
			responses++
		}
	}
	return responses
}

// What clients send with each request or response, 10,000 times while the clock stands still. Some
// of the answers have no DATA.
func TestHonestClients(t *testing.T) {
	tests := []struct {
		name     string
		requests int
		each     func(id uint32) []any // behind the request
		late     func(id uint32) []any // when it is answered
	}{
		{name: "python-httpx", requests: 3000, late: func(id uint32) []any {
			return []any{frame.WindowUpdate{Increment: 2}, frame.WindowUpdate{StreamID: id, Increment: 2}}
		}},
		{name: "PING", requests: 10_000, each: func(uint32) []any { return []any{frame.Ping{}} }},
		{name: "unknown frames", requests: 10_000, each: func(id uint32) []any {
			return []any{frame.Unknown{Header: frame.Header{Type: 0xbe, StreamID: id}}}
		}},
		{name: "SETTINGS", requests: 10_000, each: func(uint32) []any {
			return []any{frame.NewSettings(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 1 << 20})}
		}},
		{name: "RST_STREAM behind the response", requests: 10_000, late: func(id uint32) []any {
			return []any{frame.RSTStream{StreamID: id, Code: frame.NoError}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withPeer(t, func(w http.ResponseWriter, r *http.Request) {
				if tt.name == "python-httpx" {
					_, _ = io.WriteString(w, "ok")
				}
			}, func(t *testing.T, p *peer) {
				const batch = 50
				served := 0
				for id := uint32(1); id < uint32(2*tt.requests); id += 2 * batch {
					var now, then []any
					for i := id; i < id+2*batch; i += 2 {
						now = append(now, p.request(i, "GET", "/", true))
						if tt.each != nil {
							now = append(now, tt.each(i)...)
						}
						if tt.late != nil {
							then = append(then, tt.late(i)...)
						}
					}
					p.send(now...)
					served += p.wantNoEnd("requests")
					p.send(then...)
				}
				p.wantNoEnd("the end")
				if served != tt.requests {
					t.Errorf("%d of %d requests were served", served, tt.requests)
				}
			})
		})
	}
}

// A download of 10 MB, for which credit comes back in pieces of 512 octets.
func TestHonestCreditInPieces(t *testing.T) {
	const total, piece = 10 << 20, 512
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(make([]byte, total))
	}, func(t *testing.T, p *peer) {
		p.get(1)
		got := 0
		for got < total {
			synctest.Wait()
			n := 0
			for _, line := range p.take() {
				var id, octets int
				if _, err := fmt.Sscanf(line, "DATA %d %d octets", &id, &octets); err == nil {
					n += octets
				} else if strings.HasPrefix(line, "GOAWAY") {
					t.Fatal(line)
				}
			}
			if n == 0 {
				t.Fatalf("nothing came after %d octets", got)
			}
			var credit []any
			for left := n; left > 0; left -= piece {
				inc := uint32(min(left, piece))
				credit = append(credit, frame.WindowUpdate{Increment: inc}, frame.WindowUpdate{StreamID: 1, Increment: inc})
			}
			p.send(credit...)
			if got += n; total-got <= 100 {
				break // a last piece so short is told in another way
			}
		}
	})
}

// A client's users leave: of 1,001 requests in 0.1 s, 63% are cancelled in the same packet, the
// others soon. The storm comes again each second, while handlers run that take no notice of it, and
// the upload of another user goes on.
func TestHonestStorms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, serving(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "POST" {
				n, _ := io.Copy(io.Discard, r.Body)
				_, _ = fmt.Fprint(w, n)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}))
		p.send(p.request(1, "POST", "/", false))
		id := uint32(3)
		for range 20 {
			for range 10 { // every 10 ms
				var frames, later []any
				for i := range 100 {
					frames = append(frames, p.request(id, "GET", "/", true))
					cancel := frame.RSTStream{StreamID: id, Code: frame.Cancel}
					if i < 63 {
						frames = append(frames, cancel)
					} else {
						later = append(later, cancel)
					}
					id += 2
				}
				p.send(frames...)
				time.Sleep(10 * time.Millisecond)
				p.send(later...)
			}
			p.send(data(1, "piece", false))
			time.Sleep(900 * time.Millisecond)
			p.wantNoEnd("a storm")
		}
		p.send(data(1, "", true))
		p.want("the upload", "HEADERS 1 :status=200 content-type=text/plain; charset=utf-8 content-length=3",
			`DATA 1 "100" END_STREAM`)
		p.close()
	})
}

// Beyond all measure: the connection is drained, the upload that runs is served, and streams of
// later are not.
func TestStormIsDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, serving(func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprint(w, n)
		}))
		p.send(p.request(1, "POST", "/", false))
		for id := uint32(3); id < 2*4500; id += 2 {
			p.send(p.request(id, "GET", "/", true), frame.RSTStream{StreamID: id, Code: frame.Cancel})
		}
		synctest.Wait()
		// A request may be answered before its reset comes.
		if got := p.take(); len(got) == 0 || !strings.HasSuffix(got[len(got)-1], `NO_ERROR "too_many_resets"`) {
			t.Fatalf("the server sent %q", got)
		}
		time.Sleep(10 * time.Second)
		p.want("it waits")
		p.send(data(1, "octets", true))
		p.want("the upload", "HEADERS 1 :status=200 content-type=text/plain; charset=utf-8 content-length=1",
			`DATA 1 "6" END_STREAM`, "closed")
		p.close()
	})
}

// 600 requests at once, before the client can know how many it may send.
func TestHonestFirstFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := dialPeer(t, serving(func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Second) }))
		frames := []byte(frame.Preface)
		frames = frame.AppendSettings(frames)
		for i := range 600 {
			frames = p.codec.Append(frames, p.request(uint32(2*i+1), "GET", "/", true))
		}
		p.write(frames)
		time.Sleep(time.Minute / 10)
		p.write(frame.AppendSettingsAck(nil))
		synctest.Wait()
		var served, refused int
		for _, line := range p.take() {
			switch {
			case strings.Contains(line, ":status=200"):
				served++
			case strings.HasSuffix(line, "REFUSED_STREAM"):
				refused++
			default:
				t.Errorf("the server sent %q", line)
			}
		}
		if served != 250 || refused != 350 {
			t.Errorf("%d served, %d refused", served, refused)
		}
		p.get(1201)
		if p.wantNoEnd("afterwards") != 0 {
			t.Error("answered before its time")
		}
		time.Sleep(2 * time.Second)
		if p.wantNoEnd("afterwards") != 1 {
			t.Error("not answered")
		}
		p.close()
	})
}

// As many fields and cookies as browsers and services send.
func TestHonestFields(t *testing.T) {
	fields := func(n int, name func(i int) string, value string) (list []string) {
		for i := range n {
			list = append(list, name(i), fmt.Sprintf("c%d=%s", i, value))
		}
		return list
	}
	cookie := func(int) string { return "cookie" }
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%d %d", len(r.Cookies()), len(r.Header))
	}, func(t *testing.T, p *peer) {
		for i, tt := range []struct {
			fields []string
			want   string
		}{
			{fields(180, cookie, strings.Repeat("v", 40)), "180 1"},
			{fields(250, cookie, "v"), "250 1"},
			{fields(490, cookie, "v"), "490 1"},
			{fields(300, func(i int) string { return fmt.Sprintf("x-%d", i) }, "v"), "0 300"},
		} {
			for again := range 3 { // from the table, where it is there
				id := uint32(6*i + 2*again + 1)
				p.send(p.request(id, "GET", "/", true, tt.fields...))
				head := "HEADERS %d :status=200 content-type=text/plain; charset=utf-8 content-length=%d"
				p.want(tt.want, fmt.Sprintf(head, id, len(tt.want)),
					fmt.Sprintf("DATA %d %q END_STREAM", id, tt.want))
			}
		}
	})
}
