package server

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
)

// loadClient is a client that only counts what comes back: each round sends a batch of requests in
// one write and waits for as many ends of streams.
type loadClient struct {
	nc  memconn.End
	enc *hpack.Encoder
	out []byte
	in  []byte
	id  uint32
	w   fragment

	fields []hpack.HeaderField // of the requests
}

type fragment struct{ b []byte }

func (f *fragment) Write(p []byte) (int, error) {
	f.b = append(f.b, p...)
	return len(p), nil
}

func newLoadClient(srv *Server) *loadClient {
	client, server := memconn.Connect(memconn.Options{Server: testKind})
	go srv.ServeConn(server) // ends when the client closes
	b := &loadClient{nc: client, id: 1, in: make([]byte, 0, 1<<20), fields: loadFields}
	b.enc = hpack.NewEncoder(&b.w)
	b.out = frame.AppendSettings([]byte(frame.Preface))
	b.out = frame.AppendSettingsAck(b.out)
	b.out = frame.WindowUpdate{StreamID: 0, Increment: 1 << 30}.Append(b.out)
	b.flush()
	return b
}

func (b *loadClient) flush() {
	if _, err := b.nc.Write(b.out); err != nil {
		panic(err)
	}
	b.out = b.out[:0]
}

var loadFields = []hpack.HeaderField{
	{Name: ":method", Value: "GET"},
	{Name: ":scheme", Value: "http"},
	{Name: ":authority", Value: "127.0.0.1:8080"},
	{Name: ":path", Value: "/"},
	{Name: "user-agent", Value: "h2load nghttp2/1.52.0"},
}

func (b *loadClient) round(n int) {
	for range n {
		b.w.b = b.w.b[:0]
		for _, f := range b.fields {
			_ = b.enc.WriteField(f) // writes to memory
		}
		b.out = frame.Headers{StreamID: b.id, EndHeaders: true, EndStream: true, Fragment: b.w.b}.Append(b.out)
		b.id += 2
	}
	b.flush()
	for n > 0 {
		k, err := b.nc.Read(b.in[len(b.in):cap(b.in)])
		if err != nil {
			panic(err)
		}
		b.in = b.in[:len(b.in)+k]
		rest := b.in
		for {
			h, _, size, err := frame.Split(rest, frame.MaxMaxFrameSize)
			if size == 0 || err != nil {
				break
			}
			if h.Type == frame.TypeRSTStream || h.Type == frame.TypeGoAway {
				panic(h.String())
			}
			if h.Flags.Has(frame.FlagEndStream) && (h.Type == frame.TypeData || h.Type == frame.TypeHeaders) {
				n--
			}
			rest = rest[size:]
		}
		b.in = b.in[:copy(b.in, rest)]
	}
}

func helloHandler(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Hello, world!") }

// many are as many fields as a page may have, with names that are not in any table.
var many = func() (fields []hpack.HeaderField) {
	for i := range 20 {
		fields = append(fields, hpack.HeaderField{
			Name:  fmt.Sprintf("x-field-%02d", i+1),
			Value: fmt.Sprintf("the value of field %02d", i+1),
		})
	}
	return fields
}()

var manyKeys = func() (keys []string) {
	for i := range many {
		keys = append(keys, http.CanonicalHeaderKey(many[i].Name))
	}
	return keys
}()

func manyFields(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for i := range many {
		h.Set(manyKeys[i], many[i].Value)
	}
	helloHandler(w, r)
}

// TestAllocationsPerRequest counts everything between the socket and the handler, and back.
// Pools have parts for each processor: with more of them than there are cores, some run empty while
// others are full.
func TestAllocationsPerRequest(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(min(2, runtime.GOMAXPROCS(0))))
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		limit   float64
		octets  float64
	}{
		// the exchange 512, the map of its header 48, the group in that 352, the values 16; and up
		// to 130 for what pools lose to collections
		{"small body", helloHandler, 5, 1100},
		{"with header", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			helloHandler(w, r)
		}, 8, 1600},
		{"many fields", manyFields, 30, 3300}, // one more for each field, and a large map
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newLoadClient(serving(c.handler))
			defer b.nc.Close()
			const batch, rounds = 100, 25
			b.round(batch) // pools fill up
			allocs, octets := math.Inf(1), math.Inf(1)
			for range 3 { // a collection that empties the pools may fall into one or two of them
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for range rounds {
					b.round(batch)
				}
				runtime.ReadMemStats(&after)
				allocs = min(allocs, float64(after.Mallocs-before.Mallocs)/(batch*rounds))
				octets = min(octets, float64(after.TotalAlloc-before.TotalAlloc)/(batch*rounds))
			}
			t.Logf("%.2f allocations, %.0f octets a request", allocs, octets)
			if (allocs > c.limit || octets > c.octets) && !raceEnabled {
				t.Errorf("%.2f allocations, %.0f octets a request; at most %v and %v are allowed", allocs, octets,
					c.limit, c.octets)
			}
		})
	}
}

// BenchmarkServer is whole requests and responses through conn and server, without sockets. What
// its client takes, about a sixth, is in the figures.
func BenchmarkServer(b *testing.B) {
	for _, bm := range []struct {
		name    string
		batch   int
		fields  []hpack.HeaderField
		handler http.HandlerFunc
	}{
		{"in flight 1", 1, loadFields, helloHandler},
		{"in flight 100", 100, loadFields, helloHandler},
		{"20 fields in", 100, slices.Concat(loadFields, many), helloHandler},
		{"20 fields out", 100, loadFields, manyFields},
	} {
		b.Run(bm.name, func(b *testing.B) {
			bl := newLoadClient(serving(bm.handler))
			defer bl.nc.Close()
			bl.fields = bm.fields
			bl.round(bm.batch)
			b.ReportAllocs()
			for n := 0; n < b.N; n += bm.batch {
				bl.round(bm.batch)
			}
		})
	}
}
