package packet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
)

// program skips a test where a program of Wireshark is missing.
func program(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(name, "must be there in CI")
		}
		t.Skip(name, "is not installed")
	}
}

// file writes a file.
func file(t *testing.T, octets []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "capture")
	if err := os.WriteFile(name, octets, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// tshark returns the segments of a file as tshark sees them: number, time, ends, sequence number,
// acknowledgement, flags, window and length.
func tshark(t *testing.T, name string) []string {
	t.Helper()
	args := []string{"-n", "-r", name, "-Y", "tcp", "-T", "fields", "-E", "separator= ", "-E", "occurrence=l"}
	for _, field := range []string{
		"frame.number", "frame.time_epoch", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport",
		"tcp.seq_raw", "tcp.ack_raw", "tcp.flags.ack", "tcp.flags.syn", "tcp.flags.fin", "tcp.window_size_value", "tcp.len",
	} {
		args = append(args, "-e", field)
	}
	cmd := exec.Command("tshark", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, stderr.String())
	}
	var segs []string
	for line := range strings.Lines(string(out)) {
		segs = append(segs, strings.Join(strings.Fields(line), " "))
	}
	return segs
}

// asTshark writes segments as tshark does.
func asTshark(segs []Segment) []string {
	bit := map[bool]int{true: 1}
	var out []string
	for _, s := range segs {
		out = append(out, fmt.Sprintf("%d %d.%09d %v %v %d %d %d %d %d %d %d %d %d", s.Number, s.Time.Unix(),
			s.Time.Nanosecond(), s.Src.Addr(), s.Dst.Addr(), s.Src.Port(), s.Dst.Port(), s.Seq, s.Ack,
			bit[s.ACK], bit[s.SYN], bit[s.FIN], s.Window, len(s.Payload)+s.Cut))
	}
	return out
}

// TestTshark has all link types, and fragments, in one file: tshark sees the same segments.
func TestTshark(t *testing.T) {
	program(t, "tshark")
	w := &ng{order: binary.LittleEndian}
	w.section()
	var packets [][]byte
	for i, test := range linkTests() {
		if test.v6 && bytes.Contains(test.packet, src4) || !test.v6 && bytes.Contains(test.packet, src6) {
			continue // in a tunnel; tshark shows the addresses of both headers
		}
		packets = append(packets, test.packet)
		w.iface(test.link, 0)
		w.packet(uint32(len(packets)-1), uint64(epoch.UnixMicro()+int64(i)), len(test.packet), test.packet)
	}
	raw := uint32(len(packets))
	w.iface(layers.LinkTypeRaw, 0)
	for _, p := range append(fragments4(7, tcp(strings.Repeat("x", 4000)), 1480),
		fragments6(7, tcp(strings.Repeat("x", 4000)), 1232)...) {
		w.packet(raw, uint64(epoch.UnixMicro()), len(p), p)
	}
	full := ipv4(6, tcp(strings.Repeat("x", 1000)))
	w.packet(raw, uint64(epoch.UnixMicro()), len(full), full[:200])
	segs, _, err := read(t, w.file)
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if d := cmp.Diff(tshark(t, file(t, w.file)), asTshark(segs)); d != "" {
		t.Errorf("-tshark +got\n%s", d)
	}
}

// editcap returns what editcap makes of a file.
func editcap(t *testing.T, in, args string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	if msg, err := exec.Command("editcap", append(strings.Fields(args), in, out)...).CombinedOutput(); err != nil {
		t.Fatalf("editcap: %v\n%s", err, msg)
	}
	octets, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return octets
}

// TestEditcap has what editcap makes of a file.
func TestEditcap(t *testing.T) {
	program(t, "editcap")
	var packets [][]byte
	for range 3 {
		packets = append(packets, ethernet(0x0800, ipv4(6, tcp(hello))))
	}
	in := file(t, pcapngOf(t, layers.LinkTypeEthernet, packets...))
	keys := file(t, []byte("CLIENT_RANDOM 00 00\n"))
	snap := fmt.Sprint(len(packets[0]) - 5)
	for _, test := range []struct {
		args   string
		cut    int
		keyLog string
	}{
		{args: "-F pcap"},
		{args: "-F nsecpcap"},
		{args: "-F pcapng"},
		{args: "-F pcapng --inject-secrets tls," + keys, keyLog: "CLIENT_RANDOM 00 00\n"},
		{args: "-F pcapng -a 2:comment"},
		{args: "-F pcap -s " + snap, cut: 5},
		{args: "-F pcapng -s " + snap, cut: 5},
	} {
		t.Run(test.args, func(t *testing.T) {
			var keyLog string
			secrets := func(p []byte) { keyLog = string(p) }
			r, err := NewReader(bytes.NewReader(editcap(t, in, test.args)), Options{Secrets: secrets})
			if err != nil {
				t.Fatal(err)
			}
			for i := range packets {
				s, err := r.Next()
				if err != nil || string(s.Payload) != hello[:len(hello)-test.cut] || s.Cut != test.cut {
					t.Errorf("packet %d: %+v, %v", i+1, s, err)
				}
			}
			if _, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			if keyLog != test.keyLog {
				t.Errorf("the key log is %q", keyLog)
			}
		})
	}
}
