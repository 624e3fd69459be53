package tcpstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/packet"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

// nothing is a Sink that counts.
type nothing struct{ octets, lost int64 }

func (n *nothing) Octets(_ wire.Dir, _ time.Time, p []byte)        { n.octets += int64(len(p)) }
func (n *nothing) Lost(_ wire.Dir, _ time.Time, k int64, _ string) { n.lost += k }
func (n *nothing) End(wire.Dir, time.Time, wire.How)               {}

// BenchmarkAssembler has segments of several connections by turns, of which every other one is an
// acknowledgement.
func BenchmarkAssembler(b *testing.B) {
	for _, size := range []int{64, 1448, 65483} {
		for _, conns := range []int{1, 1000} {
			b.Run(fmt.Sprintf("octets=%d/conns=%d", size, conns), func(b *testing.B) {
				var n nothing
				a := New(func(*Conn) wire.Sink { return &n }, Options{})
				talks := make([]*talk, conns)
				for i := range talks {
					talks[i] = newTalk(1, 1)
				}
				payload := make([]byte, size)
				s := &packet.Segment{ACK: true, Time: epoch}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					k := talks[i%conns]
					s.Number++
					s.Src, s.Dst = clientAddr, serverAddr
					if conns > 1 {
						s.Src = withPort(clientAddr, i%conns)
					}
					s.SYN = i < conns
					s.Seq, s.Ack, s.Payload = k.seq[0], 1, payload
					k.seq[0] += uint32(size)
					if s.SYN {
						k.seq[0]++
					}
					a.Add(s)
					s.Number++
					s.Src, s.Dst = s.Dst, s.Src
					s.Seq, s.Ack, s.Payload = 1, k.seq[0], nil
					if s.SYN {
						s.Seq = 0
					}
					a.Add(s)
					i++
				}
				a.Close()
				if n.octets != int64(i)*int64(size) || n.lost != 0 {
					b.Errorf("%d octets and %d lost of %d", n.octets, n.lost, i*size)
				}
			})
		}
	}
}
