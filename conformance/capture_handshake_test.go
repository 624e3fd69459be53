package conformance

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/internal/tsharktest"
)

// The handshakes of TCP and TLS begin and end where tshark sees them.
func TestCaptureHandshakeTimes(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T) captured
	}{
		{"curl over TLS 1.3", ofOurServer(true, testHandler, withCurl("/hello", "--http2"))},
		{"curl over TLS 1.2", ofOurServer(true, testHandler, withCurl("/hello", "--http2", "--tls-max", "1.2"))},
		{"HelloRetryRequest", helloRetried},
		{"resumption of TLS 1.2", resumedByNode("TLSv1.2")},
		{"resumption of TLS 1.3", resumedByNode("TLSv1.3")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.make(t)
			args := []string{"-o", "tcp.reassemble_out_of_order:TRUE"}
			if len(c.keyLog) > 0 {
				args = append(args, "-o", "tls.keylog_file:"+writeCapture(t, "keys.log", c.keyLog))
			}
			want := tsharkHandshakes(t, writeCapture(t, "capture.pcap", c.file), args)
			got := map[uint16]string{}
			o := capture.Options{KeyLog: c.keyLog}
			if _, err := capture.Read(bytes.NewReader(c.file), o, func(e capture.Event) {
				if c, ok := e.(*capture.Connection); ok && c.TLS != nil {
					got[c.Client.Port()] = handshake{c.Time, c.Connected, c.TLS.Start, c.TLS.Finished}.String()
				}
			}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
				t.Errorf("%d connections: -tshark +ours\n%s", len(got), diff)
			}
		})
	}
}

// A handshake is when what has happened.
type handshake struct{ syn, ack, hello, finished time.Time }

func (h handshake) String() string {
	var b strings.Builder
	for i, t := range []time.Time{h.syn, h.ack, h.hello, h.finished} {
		fmt.Fprintf(&b, "%s %d.%09d ", []string{"SYN", "ACK", "ClientHello", "Finished"}[i], t.Unix(), t.Nanosecond())
	}
	return b.String()
}

// tsharkHandshakes returns the handshakes of connections with TLS, by the port of the client.
func tsharkHandshakes(t *testing.T, file string, args []string) map[uint16]string {
	t.Helper()
	fields := []string{"-r", file, "-Y", "tcp", "-T", "fields", "-E", "separator=|"}
	args = slices.Concat(tsharktest.Args(t), fields, args)
	for _, f := range []string{
		"frame.time_epoch", "ip.src", "tcp.srcport", "tcp.dstport", "tcp.flags.syn", "tcp.flags.ack",
		"tls.handshake.type", "http2.type",
	} {
		args = append(args, "-e", f)
	}
	shakes, data, clients := map[uint16]*handshake{}, map[uint16]bool{}, map[netip.AddrPort]bool{}
	for line := range strings.Lines(mustRunPeer(t, requirePeer(t, "tshark"), args...).stdout) {
		f := strings.Split(strings.TrimSpace(line)+"|||||||", "|")
		at := epochTime(t, f[0])
		from := netip.MustParseAddrPort(f[1] + ":" + f[2])
		syn, ack := f[4] == "1", f[5] == "1"
		if syn && !ack {
			clients[from] = true
			shakes[from.Port()] = &handshake{syn: at}
		}
		port := from.Port()
		if !clients[from] {
			n, err := strconv.ParseUint(f[3], 10, 16)
			if err != nil {
				t.Fatal(err)
			}
			port = uint16(n)
		}
		h := shakes[port]
		types := strings.Split(f[6], ",")
		switch {
		case clients[from] && !syn && h.ack.IsZero():
			h.ack = at
		case slices.Contains(types, "1") && h.hello.IsZero():
			h.hello = at
		}
		if slices.Contains(types, "20") && !data[port] {
			h.finished = at
		}
		data[port] = data[port] || f[7] != ""
	}
	texts := map[uint16]string{}
	for port, h := range shakes {
		if !h.hello.IsZero() {
			texts[port] = h.String()
		}
	}
	return texts
}

// epochTime is a time as tshark prints it.
func epochTime(t *testing.T, s string) time.Time {
	t.Helper()
	seconds, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := strconv.ParseInt(fraction, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(n, ns)
}
