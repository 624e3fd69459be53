package capture

import (
	"bytes"
	"testing"
	"time"

	h2 "github.com/sluice-go/sluice/internal/h2test"
)

// A packet that comes late, since it was lost and sent again, is what its stream has waited for in
// the network; other streams, and times, have not.
func TestReadNetworkWait(t *testing.T) {
	f := newCaptureFile()
	c := f.conn("192.0.2.1:40000", "192.0.2.2:80")
	c.send(Client, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", h2.Settings(), h2.Get(1), h2.Get(3))
	c.send(Server, h2.Settings(), h2.Ack, h2.Response(3, 200).End(), h2.Response(1, 200))
	first := len(f.packets)
	c.send(Server, h2.DataOf(1, 1000))
	lost := f.packets[first]
	f.packets = f.packets[:first]
	c.send(Server, h2.DataOf(1, 1000))
	c.send(Server, h2.DataEnd(1, "end"))
	f.ms += 60
	f.add(lost[16:])
	c.end()
	waits := map[uint32]Wait{}
	_, err := Read(bytes.NewReader(f.bytes()), Options{}, func(e Event) {
		if r, ok := e.(*Request); ok {
			waits[r.Stream] = r.Wait
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if w := waits[1].Network; w < 60*time.Millisecond || w > 65*time.Millisecond {
		t.Errorf("stream 1 has waited for the network for %v, want about 60 ms", w)
	}
	if w := waits[3].Network; w != 0 {
		t.Errorf("stream 3 has waited for the network for %v", w)
	}
}

// One segment that is missing is one finding, with the number of its octets, and nothing else is an
// error, whichever of the segments it is.
func TestReadWithoutEach(t *testing.T) {
	f := download()
	for i := range f.packets {
		const headers = 16 + 40
		if len(f.packets[i]) == headers {
			continue
		}
		damaged := &captureFile{header: f.header}
		damaged.packets = append(append(damaged.packets, f.packets[:i]...), f.packets[i+1:]...)
		var gaps []*Gap
		var found []string
		_, err := Read(bytes.NewReader(damaged.bytes()), Options{}, func(e Event) {
			switch e := e.(type) {
			case *Gap:
				gaps = append(gaps, e)
			case *Finding:
				if e.Severity == Error {
					found = append(found, e.Rule+": "+e.Text)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(gaps) != 1 || gaps[0].Octets != int64(len(f.packets[i])-headers) ||
			len(found) != 1 || found[0] != "octets-missing: "+gaps[0].Text {
			t.Errorf("without packet %d of %d octets: %d gaps, findings %q", i, len(f.packets[i])-headers, len(gaps), found)
		}
	}
}
