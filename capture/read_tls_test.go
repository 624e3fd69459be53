package capture

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// tapped is one end of a connection, whose writes go to a capture, too.
type tapped struct {
	net.Conn
	mu *sync.Mutex
	c  *captureConn
	d  Dir
}

func (c *tapped) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.c.octets(c.d, p)
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// tlsExchange plays a request over TLS into a capture, and returns the key log.
func tlsExchange(t testing.TB, c *captureConn, version uint16, alpn ...string) []byte {
	t.Helper()
	cert, err := selfsigned.Certificate("example.com")
	if err != nil {
		t.Fatal(err)
	}
	var keys bytes.Buffer
	var mu sync.Mutex
	a, b := net.Pipe()
	client := tls.Client(&tapped{a, &mu, c, Client}, &tls.Config{
		ServerName: "example.com", InsecureSkipVerify: true, KeyLogWriter: &keys, NextProtos: alpn,
		MinVersion: version, MaxVersion: version,
	})
	server := tls.Server(&tapped{b, &mu, c, Server}, &tls.Config{
		Certificates: []tls.Certificate{cert}, NextProtos: alpn, MinVersion: version,
	})
	request := c.codec[Client].Append(nil, frame.Preface, h2test.Settings(), h2test.Get(1))
	response := c.codec[Server].Append(nil, h2test.Settings(), h2test.Response(1, 200), h2test.DataEnd(1, "hello"))
	done := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(server, make([]byte, len(request)))
		if err == nil {
			_, err = server.Write(response)
		}
		done <- err
	}()
	if _, err := client.Write(request); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, len(response))); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.end()
	return keys.Bytes()
}

var tlsLines = []string{
	"client SETTINGS stream=0 len=0",
	"client HEADERS stream=1 flags=END_STREAM|END_HEADERS len=13" +
		" :method=GET :scheme=https :authority=example.com :path=/",
	"server SETTINGS stream=0 len=0",
	"server HEADERS stream=1 flags=END_HEADERS len=1 :status=200",
	"server DATA stream=1 flags=END_STREAM len=5",
	"end 1 closed, 5 frames, octets [55 33], lost [0 0]",
}

// pcapng is the capture with a key log in a Decryption Secrets Block behind so many packets.
func (f *captureFile) pcapng(keys []byte, behind int) []byte {
	le := binary.LittleEndian
	block := func(b []byte, typ uint32, body []byte) []byte {
		body = append(body, make([]byte, -len(body)&3)...)
		b = le.AppendUint32(le.AppendUint32(b, typ), uint32(12+len(body)))
		return le.AppendUint32(append(b, body...), uint32(12+len(body)))
	}
	section := le.AppendUint32(nil, 0x1a2b3c4d)
	section = le.AppendUint64(le.AppendUint32(section, 1), 1<<64-1)
	b := block(nil, 0x0a0d0d0a, section)
	b = block(b, 1, le.AppendUint32(le.AppendUint32(nil, 101), 0))
	secrets := le.AppendUint32(le.AppendUint32(nil, 0x544c534b), uint32(len(keys)))
	for i, p := range f.packets {
		if i == behind {
			b = block(b, 10, append(secrets, keys...))
		}
		sec, usec, n := le.Uint32(p), le.Uint32(p[4:]), le.Uint32(p[8:])
		t := uint64(sec)*1e6 + uint64(usec)
		e := le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, 0), uint32(t>>32)), uint32(t))
		e = le.AppendUint32(le.AppendUint32(e, n), n)
		b = block(b, 6, append(e, p[16:]...))
	}
	if behind == len(f.packets) {
		b = block(b, 10, append(secrets, keys...))
	}
	return b
}

// TLS is decrypted with a key log, beside the capture or in it, behind the packets; a header of the
// PROXY protocol in front of it, and a protocol that ALPN does not name, are no hindrance.
func TestReadTLS(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version uint16
		proxy   string
		alpn    []string
		want    string
	}{
		{"1.2", tls.VersionTLS12, "", []string{"h2"}, "connection 1 h2 by alpn"},
		{"1.3", tls.VersionTLS13, "", []string{"h2"}, "connection 1 h2 by alpn"},
		{"PROXY", tls.VersionTLS13, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", []string{"h2"}, "connection 1 h2 by alpn"},
		{"no ALPN", tls.VersionTLS13, "", nil, "connection 1 h2 by preface"},
	} {
		f := newCaptureFile()
		c := f.conn("192.0.2.1:40000", "192.0.2.2:443")
		c.octets(Client, []byte(tt.proxy))
		keys := tlsExchange(t, c, tt.version, tt.alpn...)
		want := append([]string{tt.want}, tlsLines...)
		lines, s := readLines(t, f.bytes(), Options{KeyLog: keys})
		if d := cmp.Diff(want, lines); d != "" || s.Keys != 1 || s.KeysUsed != 1 {
			t.Errorf("%s: %d keys, %d used (-want +got):\n%s", tt.name, s.Keys, s.KeysUsed, d)
		}
		lines, s = readLines(t, f.pcapng(keys, len(f.packets)), Options{})
		if d := cmp.Diff(want, lines); d != "" || s.Keys != 1 || s.KeysUsed != 1 {
			t.Errorf("%s, keys in the capture: %d keys, %d used (-want +got):\n%s", tt.name, s.Keys, s.KeysUsed, d)
		}
		// Where the capture cannot be read twice, the keys may come late, but not behind the end.
		for _, behind := range []int{0, len(f.packets) - 4} {
			s, err := Read(io.MultiReader(bytes.NewReader(f.pcapng(keys, behind))), Options{}, func(Event) {})
			if s.Frames != 5 || err != nil {
				t.Errorf("%s, from a pipe, keys behind %d packets: %d frames, %v", tt.name, behind, s.Frames, err)
			}
		}
	}
}

// Without the key, what is known is said, and why there is no more.
func TestReadTLSWithoutKey(t *testing.T) {
	f := newCaptureFile()
	tlsExchange(t, f.conn("192.0.2.1:40000", "192.0.2.2:443"), tls.VersionTLS13, "h2")
	other := strings.Repeat("01", 32)
	log := "CLIENT_TRAFFIC_SECRET_0 " + other + " " + other + "\n"
	var info TLS
	var got Connection
	s, err := Read(bytes.NewReader(f.bytes()), Options{KeyLog: []byte(log)}, func(e Event) {
		if c, ok := e.(*Connection); ok {
			got, info = *c, *c.TLS
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Protocol != Unknown || !info.Encrypted || info.ServerName != "example.com" || info.Version != tls.VersionTLS13 {
		t.Errorf("connection %+v, TLS %+v", got, info)
	}
	why := "no key for client random " + hex.EncodeToString(info.ClientRandom) + " (the log has 1 others)"
	if got.Problem != why {
		t.Errorf("problem %q, want %q", got.Problem, why)
	}
	want := Summary{
		Packets: s.Packets, Other: 1, Encrypted: 1, Gaps: 2, Keys: 1,
		Problems: []string{"1 connection encrypted with keys that the key log does not have"},
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
}
