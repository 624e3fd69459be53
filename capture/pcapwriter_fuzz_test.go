package capture

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// payloads are the octets of both sides in a file, those that were sent again once.
func payloads(t *testing.T, file []byte) (sides [2][]byte) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	var first [2]uint32
	for {
		data, _, err := r.ReadPacketData()
		if err == io.EOF {
			return sides
		}
		if err != nil {
			t.Fatal(err)
		}
		tcp, ok := gopacket.NewPacket(data, layers.LayerTypeIPv4, gopacket.NoCopy).TransportLayer().(*layers.TCP)
		if !ok {
			t.Fatal("a packet without TCP")
		}
		d := Dir(tcp.SrcPort - 1) // as the addresses of oddConn
		if tcp.SYN {
			first[d] = tcp.Seq + 1
		}
		at := int(min(tcp.Seq-first[d], uint32(len(sides[d]))))
		sides[d] = append(sides[d][:at], tcp.LayerPayload()...)
	}
}

// Whatever is read and written, in whatever pieces, and whatever lines of a key log come: the file
// has the octets of both sides when the connection is closed, and no more of them waits meanwhile
// than may.
func FuzzPcapWriter(f *testing.F) {
	for _, script := range [][]string{
		{">" + hello('A'), "<" + plain + coded + data, "k" + keyLines('A', labels13...), ">" + data},
		{">" + hello('A')[:3], ">" + hello('A')[3:], "!" + data, ">" + data, "<" + coded + secret},
		{"<" + hello('A'), ">" + plain + coded + secret, "<" + coded + secret},
	} {
		var in []byte
		for _, step := range script {
			in = append(append(in, step[0], byte(len(step)-1)), step[1:]...)
		}
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		w, file := newRecording(t)
		keys := w.KeyLogWriter()
		c := newOddConn()
		nc := w.WrapConn(c, Client)
		var want [2][]byte
		for len(in) > 2 {
			kind, n := in[0], min(int(in[1]), len(in)-2)
			p := in[2 : 2+n]
			in = in[2+n:]
			switch kind {
			case '<':
				c.answer(t, nc, string(p), nil)
				want[Server] = append(want[Server], p...)
			case '!': // cut off after a half, and written again
				c.write = func(p []byte) (int, error) { return len(p) / 2, io.ErrShortWrite }
				k, _ := nc.Write(p)
				c.write = func(p []byte) (int, error) { return len(p), nil }
				_, _ = nc.Write(p[k:])
				want[Client] = append(want[Client], p...)
			case 'k':
				_, _ = fmt.Fprintf(keys, "%s\n", p)
			default:
				_, _ = nc.Write(p)
				want[Client] = append(want[Client], p...)
			}
			if w.mu.held > maxHeldOctets {
				t.Fatalf("%d octets wait", w.mu.held)
			}
		}
		nc.Close()
		if len(w.mu.keys) > 0 || w.mu.held > 0 {
			t.Errorf("%d connections and %d octets are kept", len(w.mu.keys), w.mu.held)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got := payloads(t, file.Bytes())
		if !bytes.Equal(got[Client], want[Client]) || !bytes.Equal(got[Server], want[Server]) {
			t.Errorf("the file has\n%q\nwant\n%q", got, want)
		}
	})
}
