package capture

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"
)

// FuzzRead reads files of any kind, from a file and from a pipe. Events come as FuzzSession says,
// the counts are those of the events, and nothing is held in the end.
func FuzzRead(f *testing.F) {
	secure := newCaptureFile()
	keys := tlsExchange(f, secure.conn("192.0.2.1:40000", "192.0.2.2:443"), tls.VersionTLS13, "h2")
	snapped := download()
	snapped.snap = 100
	for _, file := range [][]byte{
		download().bytes(), snapped.bytes(), secure.pcapng(keys, 0), secure.pcapng(keys, len(secure.packets)),
	} {
		f.Add(file, true)
		f.Add(file, false)
	}
	f.Fuzz(func(t *testing.T, file []byte, seek bool) {
		if len(file) > 1<<16 {
			return
		}
		z := &fuzzed{t: t, state: map[uint64]int{}}
		counts := map[string]uint64{}
		rd := newReading(Options{Bodies: true}, func(e Event) {
			counts[e.Kind()]++
			z.begun(e)
		})
		var r io.Reader = bytes.NewReader(file)
		if !seek {
			r = io.MultiReader(r)
		}
		_ = rd.run(r) // whatever it is, what was read is delivered
		s, held := rd.sum, rd.a.held.used.Load()
		if s.Frames != counts["frame"] || s.Connections() != counts["end"] || s.Connections() != counts["connection"] ||
			s.Gaps != counts["gap"] || s.Requests != counts["request"] || held != 0 || rd.a.nested != 0 {
			t.Fatalf("%+v of %v; %d octets are held", s, counts, held)
		}
	})
}
