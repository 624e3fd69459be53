package header_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// encode returns a header block of pairs of names and values.
func encode(e *hpack.Encoder, buf *bytes.Buffer, pairs ...string) []byte {
	buf.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}) // a bytes.Buffer does not fail
	}
	return bytes.Clone(buf.Bytes())
}

// A program that reads frames itself: whole header blocks, decoded within bounds.
func ExampleDecoder() {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	block := encode(e, &buf,
		":method", "GET", ":scheme", "https", ":authority", "example.com", ":path", "/", "accept", "*/*")
	wire := frame.Headers{StreamID: 1, EndHeaders: true, EndStream: true, Fragment: block}.AppendSplit(nil, 8)

	r := frame.NewReader(bytes.NewReader(wire))
	d := header.NewDecoder(0, 64<<10, 100)
	var m header.Message
	for {
		h, payload, err := r.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		if h.Type != frame.TypeHeaders {
			continue
		}
		f, err := frame.ParseHeaders(h, payload)
		if err == nil {
			err = d.Decode(f.Fragment, &m)
		}
		if err != nil {
			fmt.Println("GOAWAY:", err)
			return
		}
		if err := m.CheckRequest(f.StreamID, false); err != nil {
			fmt.Println("RST_STREAM:", err)
			continue
		}
		fmt.Println(m.Method, m.Scheme, m.Authority, m.Path, m.Fields, m.TooLarge)
	}
	// Output:
	// GET https example.com / [header field "accept" = "*/*"] false
	// EOF
}

// Beyond its bounds a Decoder keeps the table in order and says so; what is no HPACK ends it.
func TestDecoder(t *testing.T) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	many := []string{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/"}
	for i := range 100 {
		many = append(many, fmt.Sprintf("x-%d", i), "some value of it")
	}
	blocks := [][]byte{encode(e, &buf, many...), encode(e, &buf, many[:10]...)}
	for _, d := range []*header.Decoder{header.NewDecoder(0, 0, 20), header.NewDecoder(0, 500, 0)} {
		for i, b := range blocks {
			var m header.Message
			if err := d.Decode(b, &m); err != nil {
				t.Fatal(err)
			}
			n := len(m.Fields)
			if m.TooLarge != (i == 0) || m.Authority != "a.example" || n == 0 || m.Fields[0].Name != "x-0" || n > 20 {
				t.Errorf("block %d: %+v", i, m)
			}
			if err := m.CheckRequest(1, false); err != nil {
				t.Error(err)
			}
		}
		var first error
		for range 2 {
			err := d.Decode([]byte{0xff}, new(header.Message))
			var ce *frame.ConnError
			if !errors.As(err, &ce) || ce.Code != frame.CompressionError {
				t.Errorf("%v", err)
			}
			if first != nil && err != first {
				t.Errorf("%v", err)
			}
			first = err
		}
	}
}

// A shrunken table must be acknowledged at the head of the next block (RFC 9113 §4.3.1).
func TestDecoderTableSize(t *testing.T) {
	for _, update := range []bool{true, false} {
		var buf bytes.Buffer
		e := hpack.NewEncoder(&buf)
		d := header.NewDecoder(0, 0, 0)
		var m header.Message
		if err := d.Decode(encode(e, &buf, "x", "y"), &m); err != nil {
			t.Fatal(err)
		}
		d.SetTableSize(0)
		if update {
			e.SetMaxDynamicTableSize(0)
		}
		if err := d.Decode(encode(e, &buf, "x", "y"), &m); (err == nil) != update {
			t.Errorf("update %v: %v", update, err)
		}
	}
}

// The Check methods name the stream, the code and the rule.
func TestMessageChecks(t *testing.T) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	d := header.NewDecoder(0, 0, 0)
	for _, tt := range []struct {
		fields                      []string
		request, response, trailers bool
	}{
		{fields: []string{":method", "GET", ":scheme", "http", ":path", "/", "te", "trailers"}, request: true},
		{fields: []string{":status", "200"}, response: true},
		{fields: []string{"x-checksum", "1"}, trailers: true},
		{
			fields: []string{
				":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "a",
			},
			request: true,
		},
		{fields: []string{"Upper", "1"}},
	} {
		var m header.Message
		if err := d.Decode(encode(e, &buf, tt.fields...), &m); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			what string
			err  error
			ok   bool
		}{
			{"request", m.CheckRequest(7, true), tt.request},
			{"response", m.CheckResponse(7), tt.response},
			{"trailers", m.CheckTrailers(7), tt.trailers},
		} {
			if c.ok {
				if c.err != nil {
					t.Errorf("%v as %s: %v", tt.fields, c.what, c.err)
				}
				continue
			}
			var se *frame.StreamError
			if !errors.As(c.err, &se) || se.StreamID != 7 || se.Code != frame.ProtocolError || se.Section == "" {
				t.Errorf("%v as %s: %v", tt.fields, c.what, c.err)
			}
		}
		if m.Protocol != "" && m.CheckRequest(7, false) == nil {
			t.Error(":protocol was not offered and is taken")
		}
	}
}
