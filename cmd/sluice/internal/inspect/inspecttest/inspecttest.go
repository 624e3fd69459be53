// Package inspecttest makes captures for tests of the commands that read them.
package inspecttest

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/sluice-go/sluice/capture"
)

// Sent returns a capture in pcapng of a connection on which a client sends octets and the server
// nothing.
func Sent(t *testing.T, octets string) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := capture.NewPcapWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, far) // ends with near
	}()
	c := w.WrapConn(near, capture.Client)
	if _, err := io.WriteString(c, octets); err != nil {
		t.Fatal(err)
	}
	_ = c.Close() // of a pipe
	<-drained
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}
