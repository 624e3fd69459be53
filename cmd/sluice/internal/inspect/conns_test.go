package inspect

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/capture"
)

// Connections beyond the bound are counted, with the flag that follows more.
func TestMaxConnections(t *testing.T) {
	var file bytes.Buffer
	w, err := capture.NewPcapWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	const begin = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	for range 3 {
		near, far := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, far) }() // ends with near
		defer near.Close()
		if _, err := io.WriteString(w.WrapConn(near, capture.Client), begin); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := written(t, file.Bytes())
	for n, want := range map[int]string{
		0: "", 3: "",
		1: "missing: 2 connections no longer followed, since too many were open at once\n  --max-connections follows more",
	} {
		r := inspectIt(t, Options{Files: []string{name}, MaxConns: n})
		if !strings.Contains(r.out, want) || strings.Contains(r.out, "--max-connections") != (want != "") ||
			!strings.Contains(r.out, "3 connections") {
			t.Errorf("with %d connections at once:\n%s", n, r.out)
		}
	}
	if r := inspectIt(t, Options{Files: []string{name}, MaxConns: -1}); r.status != 2 {
		t.Errorf("exit status %d with -1", r.status)
	}
}
