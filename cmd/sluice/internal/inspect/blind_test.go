package inspect

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// encrypted is a capture of TLS without the keys.
func encrypted(t *testing.T) []byte {
	t.Helper()
	cert, err := selfsigned.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(c, c)
		c.Close()
	}()
	var file bytes.Buffer
	w, err := capture.NewPcapWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := w.WrapDial(nil)(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the server is that of this test
	if _, err := c.Write([]byte("echo")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-ended
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// unknownLink is a capture of one packet with a link type that is not supported.
func unknownLink() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0)
	for _, v := range []uint32{0, 0, 65535, 147, 1, 0, 4, 4} { // the header ends with the link type
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return append(b, "data"...)
}

// A capture of which nothing could be looked at is not one in which all is well, or in which
// nothing differs.
func TestBlind(t *testing.T) {
	secret, unknown, plain := written(t, encrypted(t)), written(t, unknownLink()), written(t, recorded(t))
	for _, tt := range []struct {
		name   string
		o      Options
		status int
		want   string
	}{
		{"no keys", Options{Files: []string{secret}}, 2, "1 connection encrypted, and there are no keys"},
		{"what to do", Options{Files: []string{secret}}, 2, "--keylog keys.log"},
		{"no key log", Options{Files: []string{secret}, KeyLog: secret}, 2, secret + " has no keys"},
		{"no keys, JSON", Options{Files: []string{secret}, JSON: true}, 2, "there are no keys"},
		{"a link type", Options{Files: []string{unknown}}, 2, "1 packet of a link type that is not supported"},
		{"two without keys", Options{Files: []string{secret, secret}, Diff: true}, 2, "there are no keys"},
		{"the second without keys", Options{Files: []string{plain, secret}, Diff: true}, 2, "there are no keys"},
		{
			"nothing to compare",
			Options{Files: []string{plain, plain}, Diff: true, Host: "nowhere.test"},
			2, "no requests to compare",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := inspectIt(t, tt.o)
			if r.status != tt.status || !strings.Contains(r.out+r.err, tt.want) {
				t.Errorf("exit status %d, %q; want %d, %q", r.status, r.out+r.err, tt.status, tt.want)
			}
		})
	}
}
