package capture

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/sluice-go/sluice/internal/h2test"
)

// contentsCapture is a capture of compressed responses that interleave, over HTTP/2 and HTTP/1.1.
func contentsCapture() *captureFile {
	f := newCaptureFile()
	codings := []string{"gzip", "br", "zstd", "deflate", ""}
	c := f.conn("192.0.2.1:40000", "192.0.2.2:8080")
	c.mss = 600
	c.octets(Client, []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	c.send(Client, h2test.Settings())
	c.send(Server, h2test.Settings(), h2test.Ack)
	var parts [][]byte
	for i, coding := range codings {
		id := uint32(2*i + 1)
		c.send(Client, h2test.Request(id, "GET", "/"+coding).End(), h2test.Ack)
		parts = append(parts, encode(coding, contentOf(coding)))
		c.send(Server, h2test.Response(id, 200, "content-encoding: "+coding))
	}
	for more := true; more; {
		more = false
		for i, p := range parts {
			n := min(len(p), 500)
			c.send(Server, h2test.Data(uint32(2*i+1), string(p[:n])))
			parts[i] = p[n:]
			more = more || len(parts[i]) > 0
		}
	}
	for i := range parts {
		c.send(Server, h2test.DataEnd(uint32(2*i+1), ""))
	}
	c.end()

	c = f.conn("192.0.2.1:40001", "192.0.2.2:8081")
	c.mss = 600
	for i, coding := range codings {
		c.octets(Client, fmt.Appendf(nil, "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", coding))
		p := encode(coding, contentOf(coding))
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n", coding)
		if i%2 == 0 {
			c.octets(Server, fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, len(p), p))
			continue
		}
		c.octets(Server, fmt.Appendf(nil, "%sTransfer-Encoding: chunked\r\n\r\n", head))
		for chunk := range slices.Chunk(p, 700) {
			c.octets(Server, fmt.Appendf(nil, "%x\r\n%s\r\n", len(chunk), chunk))
		}
		c.octets(Server, []byte("0\r\n\r\n"))
	}
	c.end()
	return f
}

// contentOf is what is sent with a coding.
func contentOf(coding string) []byte {
	var b []byte
	for i := range 400 {
		b = fmt.Appendf(b, "%s %d %x\n", coding, i, i*i*i*7919)
	}
	return b
}

// readContents reads a capture. It returns, by connection and path, requests and what was sent.
func readContents(t *testing.T, file []byte) (map[string]*Request, map[string]*Content) {
	t.Helper()
	requests, contents := make(map[string]*Request), make(map[string]*Content)
	byStream := make(map[string]*Content)
	name := func(conn uint64, s any) string { return fmt.Sprintf("%d %v", conn, s) }
	decoder := ContentDecoder{Handler: func(c *Content) {
		copied := *c
		copied.Octets = bytes.Clone(c.Octets)
		byStream[name(c.Conn, c.Stream)] = &copied
	}}
	_, err := Read(bytes.NewReader(file), Options{Bodies: true}, func(e Event) {
		decoder.Event(e)
		if r, ok := e.(*Request); ok {
			copied := *r
			requests[name(r.Conn, r.Path)] = &copied
			contents[name(r.Conn, r.Path)] = byStream[name(r.Conn, r.Stream)]
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return requests, contents
}

// Compressed responses that interleave are put together; and where any one packet is not in the
// capture, no content that claims to be whole is another one than was sent.
func TestReadContents(t *testing.T) {
	f := contentsCapture()
	_, contents := readContents(t, f.bytes())
	for _, conn := range []string{"1", "2"} {
		for _, coding := range []string{"gzip", "br", "zstd", "deflate", ""} {
			c := contents[conn+" /"+coding]
			if c == nil || c.Err != nil || !bytes.Equal(c.Octets, contentOf(coding)) {
				t.Errorf("content of /%s on connection %s is %+v", coding, conn, c)
			}
		}
	}
	whole, cut := 0, 0
	for i := range f.packets {
		without := *f
		without.packets = slices.Delete(slices.Clone(f.packets), i, i+1)
		requests, contents := readContents(t, without.bytes())
		for name, r := range requests {
			c := contents[name]
			switch {
			case c == nil || r.StartMissing:
			case c.Err != nil:
				cut++
			case !bytes.Equal(c.Octets, contentOf(r.Path[1:])):
				t.Errorf("without packet %d: /%s has %d octets that were not sent so", i+1, name, len(c.Octets))
			default:
				whole++
			}
		}
	}
	if whole < 6*len(f.packets) || cut < len(f.packets)/2 {
		t.Errorf("of %d packets left out one by one: %d contents whole, %d cut", len(f.packets), whole, cut)
	}
}
