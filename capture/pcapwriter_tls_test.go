package capture

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// hello is the start of a connection of TLS, with a random of this octet.
func hello(random byte) string {
	body := "\x03\x03" + strings.Repeat(string(rune(random)), 32) + "\x00" + "\x00\x02\x13\x01" + "\x01\x00"
	message := fmt.Sprintf("\x01\x00\x00%c%s", len(body), body)
	return fmt.Sprintf("\x16\x03\x01\x00%c%s", len(message), message)
}

const (
	coded  = "\x14\x03\x03\x00\x01\x01"
	data   = "\x17\x03\x03\x00\x02ab"
	plain  = "\x16\x03\x03\x00\x04\x02\x00\x00\x00" // an empty ServerHello
	secret = "\x16\x03\x03\x00\x02ab"
)

// keyLines are lines of a key log, by labels, for a random of this octet.
func keyLines(random byte, labels ...string) string {
	var b strings.Builder
	for _, label := range labels {
		fmt.Fprintf(&b, "%s %s %x\n", label, hex.EncodeToString(bytes.Repeat([]byte{random}, 32)), label)
	}
	return b.String()
}

var labels13 = []string{
	"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
	"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0",
}

// Packets wait for their keys, and for no longer. In a script "<" is read, ">" is written, "k" is a
// line of the key log, "c" is the end, "w" some time, and "." says how many packets are in the
// file, behind those of the start.
func TestPcapWriterHolds(t *testing.T) {
	k13 := keyLines('A', labels13...)
	for _, tt := range []struct {
		name   string
		script []string
	}{
		{"keys come before", []string{">" + hello('A'), ".1", "k" + k13, "<" + plain + coded + data, ".6", ">" + data, ".7"}},
		{"keys come behind", []string{
			">" + hello('A'), "<" + plain + coded + data, "<" + data, ".1", "k" + keyLines('A', labels13[:3]...), ".4",
			"k" + keyLines('B', labels13...), ".8", "k" + keyLines('A', labels13...), ".11", ">" + data, ".12",
		}},
		{"a ClientHello in pieces", []string{
			">" + hello('A')[:3], ">" + hello('A')[3:20], ">" + hello('A')[20:], ".3",
			"<" + data[:2], ".4", "<" + data[2:], ".4", "k" + k13, ".9",
		}},
		{"TLS 1.2", []string{
			">" + hello('A'), "<" + plain, ">" + coded + secret, ".2", "k" + keyLines('A', "CLIENT_RANDOM"), ".4",
			"<" + coded + secret, ".5", "<" + data, ".6",
		}},
		{"TLS 1.2 resumed, and its session unknown", []string{
			">" + hello('A'), "<" + plain + coded + secret, ".2", ">" + data, ".3",
		}},
		{"no TLS", []string{">" + plain, "<" + data, ".2"}},
		{"no TLS any more", []string{">" + hello('A'), "<HTTP/1.1 400", "<" + data, ".3"}},
		{"TLS behind CONNECT", []string{">CONNECT", "<200 OK", ">" + hello('A'), "<" + data, ".3", "k" + k13, ".8"}},
		{"the end", []string{">" + hello('A'), "<" + data, "<" + data, ".1", "c", ".4"}},
		{"a Read that the end is ahead of", []string{">" + hello('A'), "c", "<" + plain + data, ".3"}},
		{"the same, of TLS 1.2 resumed", []string{">" + hello('A'), "c", "<" + plain + coded + secret, ".3"}},
		{"too much", []string{
			">" + hello('A'), "<" + data, ".1", "<" + strings.Repeat(data, 260_000/len(data)), ".1",
			"<" + strings.Repeat(data, 300), ".11", "<" + data, ".12",
		}},
		{"too long", []string{">" + hello('A'), "<" + data, ".1", "w", ".1", "<" + data, ".3", "<" + data, ".4"}},
		{"lines that are none", []string{
			"kCLIENT_RANDOM 00 00\n# comment\n\nCLIENT_RANDOM " + strings.Repeat("z", 64) + " 00\n", ".0",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playHolds(t, tt.script) })
		})
	}
}

func playHolds(t *testing.T, script []string) {
	w, file := newRecording(t)
	keys := w.KeyLogWriter()
	c := newOddConn()
	nc := w.WrapConn(c, Client)
	for i, step := range script {
		switch rest := step[1:]; step[0] {
		case '<':
			for piece := range slices.Chunk([]byte(rest), maxSegmentOctets) {
				c.answer(t, nc, string(piece), nil)
			}
		case '>':
			_, _ = nc.Write([]byte(rest))
		case 'k':
			_, _ = io.WriteString(keys, rest)
		case 'c':
			nc.Close()
		case 'w':
			time.Sleep(maxHeldTime)
		case '.':
			time.Sleep(flushDelay)
			synctest.Wait()
			if got := len(recordedPackets(t, file.Bytes())) - 3; fmt.Sprint(got) != rest {
				t.Errorf("step %d: %d packets and keys are in the file, want %s", i, got, rest)
			}
		}
	}
	nc.Close()
	if len(w.mu.keys) != 0 || w.mu.held != 0 {
		t.Errorf("%d connections and %d octets are kept", len(w.mu.keys), w.mu.held)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
