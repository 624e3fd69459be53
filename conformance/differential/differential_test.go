//go:build !nethttpomithttp2

package differential

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	programs = flag.Int("differential.programs", 0, "programs of TestDifferential; 0: as many as 15 s allow")
	seed     = flag.Uint64("differential.seed", 1, "the seed of the first program; 0: by the clock")
)

// difference is one that is documented, in these words, and the programs that meet it.
type difference struct {
	file, words string
	met         func(p program, kinds pair) bool
}

// has reports whether a program has one of the steps.
func has(steps []step, ops ...string) bool {
	return slices.ContainsFunc(steps, func(s step) bool { return slices.Contains(ops, s.op) })
}

// te reports whether the request has a TE field.
func (p program) te() bool {
	return slices.ContainsFunc(p.client, func(s step) bool { return strings.HasPrefix(s.s, "Te:") })
}

// bodiless reports whether the response may have no content.
func (p program) bodiless() bool {
	return p.client[0].s == "HEAD" || slices.ContainsFunc(p.handler, func(s step) bool { return s.n == 204 || s.n == 304 })
}

const (
	serverDoc = "../../server/doc.go"
	clientDoc = "../../client/doc.go"
)

var differences = []difference{
	{
		serverDoc, "A response that ends before its declared Content-Length is reset, not ended.",
		func(p program, kinds pair) bool {
			return kinds.server != netHTTP && has(p.handler, "length")
		},
	},
	{
		serverDoc, "A request with a TE field other than \"trailers\" is reset",
		func(p program, kinds pair) bool {
			return kinds.server != netHTTP && p.te()
		},
	},
	{
		serverDoc, "The context of a request whose response is complete before its handler has returned",
		func(p program, kinds pair) bool {
			return kinds.server != netHTTP && p.bodiless() && has(p.handler, "flush", "write", "copy")
		},
	},
	{
		serverDoc, "A request whose body is not as long as its Content-Length says is reset",
		func(p program, kinds pair) bool {
			return kinds.server != netHTTP && has(p.client, "short")
		},
	},
	{
		serverDoc, "A request that has ended before its handler is called, without content, has a ContentLength of 0",
		func(p program, kinds pair) bool {
			return kinds.server != netHTTP && p.client[0].n == 0
		},
	},
	{
		serverDoc, "Reading a request's body that was closed gives http.ErrBodyReadAfterClose",
		func(p program, kinds pair) bool {
			return kinds.server != netHTTP && has(p.handler, "closeBody")
		},
	},
	{
		serverDoc, "100 (Continue) is sent only for a request with content",
		func(p program, kinds pair) bool {
			return kinds.server != netHTTP && has(p.client, "expect")
		},
	},
	{
		serverDoc, "Trailers of a response with status 204 or 304 are not sent",
		func(p program, kinds pair) bool {
			return kinds.server != netHTTP && has(p.handler, "late", "trailer") && p.bodiless()
		},
	},
	{
		serverDoc, "WriteTimeout and SetWriteDeadline reset the stream and end the request's context at that time",
		func(p program, kinds pair) bool {
			return kinds.server != netHTTP && has(p.handler, "writeDeadline")
		},
	},
	{
		clientDoc, "The end of a context gives the context's error.",
		func(p program, kinds pair) bool { // also where the server has reset the stream before
			return kinds.client != netHTTP && has(p.client, "cancel", "timeout") &&
				has(p.handler, "panic", "abort", "exit", "writeDeadline")
		},
	},
	{
		serverDoc, "A response without content ends with its header, also where trailers were announced and none was set",
		func(p program, kinds pair) bool { // as seen by a client that asked for gzip
			return kinds.server != netHTTP && has(p.handler, "trailer") &&
				slices.ContainsFunc(p.handler, func(s step) bool { return s.s == "Content-Encoding:gzip" })
		},
	},
	{
		clientDoc, "An interim response keeps its Trailer field",
		func(p program, kinds pair) bool {
			return kinds.client != netHTTP && has(p.handler, "interim") && has(p.handler, "trailer")
		},
	},
	{
		clientDoc, "Trailers of a request without a body are sent",
		func(p program, kinds pair) bool {
			return kinds.client != netHTTP && has(p.client, "requestTrailer") &&
				(has(p.client, "none") || p.client[0].n == 0)
		},
	},
	{
		clientDoc, "A response without content, though its Content-Length is not 0, fails the request",
		func(p program, kinds pair) bool {
			return kinds.client != netHTTP && has(p.handler, "length")
		},
	},
	{
		clientDoc, "of TE only \"trailers\"",
		func(p program, kinds pair) bool {
			return kinds.client != netHTTP && p.te()
		},
	},
	{
		clientDoc, "A request that is cancelled is reset at once",
		func(p program, kinds pair) bool {
			return kinds.client != netHTTP && has(p.client, "cancel", "timeout", "close") &&
				has(p.client, "fails", "slow")
		},
	},
	{
		clientDoc, "A body shorter than Request.ContentLength fails the request.",
		func(p program, kinds pair) bool {
			return kinds.client != netHTTP && has(p.client, "short")
		},
	},
}

// attempts is how often a program is run that seems to see a difference: where both sides do
// something at one instant, net/http itself does not see the same each time.
const attempts = 12

// differs returns in what a pair differs from net/http, "" for nothing.
func (p program) differs(t *testing.T, kinds pair) string {
	for _, d := range differences {
		if d.met(p, kinds) {
			return ""
		}
	}
	want, got := map[string]bool{}, map[string]bool{}
	var first [2]string
	for i := range attempts {
		w, g := p.run(t, pair{netHTTP, netHTTP}), p.run(t, kinds)
		if i == 0 {
			first = [2]string{w, g}
		}
		want[w], got[g] = true, true
		for s := range got {
			if want[s] {
				return ""
			}
		}
	}
	return cmp.Diff(strings.Split(first[0], "\n"), strings.Split(first[1], "\n"))
}

// What random handlers and clients see is what they see of net/http.
func TestDifferential(t *testing.T) {
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	until := time.Now().Add(15 * time.Second)
	n, failed := 0, 0
	for ; n < *programs || *programs == 0 && time.Now().Before(until); n++ {
		p := generate(first + uint64(n))
		for _, kinds := range []pair{{netHTTP, own}, {netHTTP, configure}, {own, netHTTP}, {configure, netHTTP}} {
			if p.differs(t, kinds) == "" {
				continue
			}
			short := p.shrink(func(q program) bool { return q.differs(t, kinds) != "" })
			t.Errorf("seed %d, client of %s, server of %s\n%v\n(-net/http +ours):\n%s",
				first+uint64(n), kinds.client, kinds.server, short, short.differs(t, kinds))
			if failed++; failed == 10 {
				t.Fatal("enough")
			}
			break
		}
	}
	t.Logf("%d programs from seed %d on", n, first)
}

// Each difference stands in the documentation, in the words of the list.
func TestDifferencesAreDocumented(t *testing.T) {
	for _, d := range differences {
		text, err := os.ReadFile(d.file)
		if err != nil {
			t.Fatal(err)
		}
		doc := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "//", " ")), " ")
		if !strings.Contains(doc, d.words) {
			t.Errorf("%s does not say: %s", d.file, d.words)
		}
	}
}
