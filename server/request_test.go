package server

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// TestRepeatedFields has each of a few names come as often as chance has it, in any order. Many
// values are in one array: what a handler appends to some must not be seen in others.
func TestRepeatedFields(t *testing.T) {
	const seed = 7
	rnd := rand.New(rand.NewPCG(seed, 0))
	var got http.Header
	withPeer(t, func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		for key, values := range r.Header {
			_ = append(values, "appended to "+key)
		}
		if d := cmp.Diff(got, r.Header); d != "" {
			t.Errorf("append has changed another field:\n%s", d)
		}
	}, func(_ *testing.T, p *peer) {
		for round := range uint32(200) {
			var fields []string
			want := make(http.Header)
			for i := range rnd.IntN(14) {
				name := fmt.Sprintf("x-%c", 'a'+rnd.IntN(12))
				if rnd.IntN(8) == 0 {
					name = "accept"
				}
				fields = append(fields, name, fmt.Sprint(i))
				want.Add(name, fmt.Sprint(i))
			}
			id := 2*round + 1
			p.send(p.request(id, "GET", "/", true, fields...))
			p.want("answered", fmt.Sprintf("HEADERS %d :status=200 content-length=0 END_STREAM", id))
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%q (-want +got):\n%s", fields, d)
			}
		}
	})
}

// TestKeptHeader has a handler keep the header of a request, while the memory of its worker serves
// others.
func TestKeptHeader(t *testing.T) {
	var kept []http.Header
	withPeer(
		t,
		func(_ http.ResponseWriter, r *http.Request) { kept = append(kept, r.Header) },
		func(t *testing.T, p *peer) {
			var fs []any
			for i := range uint32(50) {
				fs = append(
					fs,
					p.request(2*i+1, "GET", "/", true, "x-turn", fmt.Sprint(i), "x-turn", "again", "accept", fmt.Sprint(-int(i))),
				)
			}
			p.send(fs...)
			synctest.Wait()
			for i, h := range kept {
				if !slices.Equal(h["X-Turn"], []string{fmt.Sprint(i), "again"}) || h.Get("Accept") != fmt.Sprint(-i) {
					t.Errorf("header of request %d: %v", i, h)
				}
			}
		},
	)
}
