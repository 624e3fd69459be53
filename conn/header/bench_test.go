package header

import (
	"bytes"
	"fmt"
	"testing"

	"golang.org/x/net/http2/hpack"
)

var (
	response4 = lines(":status: 200", "content-type: text/plain; charset=utf-8", "content-length: 13",
		"date: Mon, 02 Nov 2026 15:04:05 GMT")
	response20 = lines(":status: 200", "content-type: text/html; charset=utf-8", "content-length: 51234",
		"date: Mon, 02 Nov 2026 15:04:05 GMT", "server: sluice", "cache-control: private, max-age=0",
		"content-encoding: gzip", "vary: accept-encoding", "etag: \"5f3c-58d5a9c8b0f40\"",
		"last-modified: Sun, 01 Nov 2026 08:00:00 GMT", "strict-transport-security: max-age=31536000",
		"x-content-type-options: nosniff", "x-frame-options: SAMEORIGIN", "referrer-policy: same-origin",
		"content-security-policy: default-src 'self'; img-src *", "alt-svc: h3=\":443\"; ma=86400",
		"x-request-id: 8f14e45fceea167a5a36dedd4bea2543", "x-cache: HIT", "via: 1.1 varnish", "accept-ranges: bytes")
	request5 = lines(":method: GET", ":scheme: http", ":authority: 127.0.0.1:8080", ":path: /",
		"user-agent: h2load nghttp2/1.52.0")
	request20 = lines(":method: GET", ":authority: www.example.com", ":scheme: https", ":path: /assets/app-4f2a.js?v=3",
		"cache-control: no-cache", "sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"", "sec-ch-ua-mobile: ?0",
		"sec-ch-ua-platform: \"Linux\"", "origin: https://www.example.com",
		"user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
		"accept: */*", "sec-fetch-site: same-origin", "sec-fetch-mode: cors", "sec-fetch-dest: script",
		"referer: https://www.example.com/", "accept-encoding: gzip, deflate, br, zstd",
		"accept-language: en-GB,en;q=0.9", "cookie: session=0123456789abcdef0123456789abcdef",
		"cookie: theme=dark", "priority: u=1")
)

// Fields that come in any order, as from an http.Header.
func BenchmarkEncodeAnyOrder(b *testing.B) {
	e := NewEncoder(4096)
	buf := make([]byte, 0, 4096)
	fields := customFields()
	for i := 0; b.Loop(); i++ {
		k := i % len(fields)
		fields[0], fields[k] = fields[k], fields[0]
		buf = e.Append(buf[:0], fields)
	}
}

func customFields() (fields []Field) {
	for i := range 20 {
		fields = append(fields, lines(fmt.Sprintf("x-field-%02d: the value of field %02d", i, i))...)
	}
	return fields
}

func BenchmarkEncodeResponse(b *testing.B) {
	for _, fields := range [][]Field{response4, response20} {
		b.Run(fmt.Sprintf("fields=%d", len(fields)), func(b *testing.B) {
			b.Run("sluice", func(b *testing.B) {
				e := NewEncoder(4096)
				buf := make([]byte, 0, 4096)
				b.ReportAllocs()
				for b.Loop() {
					buf = e.Append(buf[:0], fields)
				}
				b.ReportMetric(float64(len(buf)), "octets")
			})
			b.Run("xnet", func(b *testing.B) {
				var out bytes.Buffer
				e := hpack.NewEncoder(&out)
				b.ReportAllocs()
				for b.Loop() {
					out.Reset()
					for _, f := range fields {
						_ = e.WriteField(f)
					}
				}
				b.ReportMetric(float64(out.Len()), "octets")
			})
		})
	}
}

// Each date comes but once: what a connection with little to do sees.
func BenchmarkEncodeFreshDate(b *testing.B) {
	e := NewEncoder(4096)
	buf := make([]byte, 0, 4096)
	fields := [2][]Field{response4, append(response4[:3:3], lines("date: Mon, 02 Nov 2026 15:04:06 GMT")...)}
	i := 0
	for b.Loop() {
		i ^= 1
		buf = e.Append(buf[:0], fields[i])
	}
	b.ReportMetric(float64(len(buf)), "octets")
}

// BenchmarkDecodeRequest decodes and checks requests, all of whose fields are in the table
// ("indexed"), and requests that come as peers send them, with a :path that is a literal ("path").
// Each is decoded, as no two in a row are the same, and taken from the one before where they are
// ("again").
func BenchmarkDecodeRequest(b *testing.B) {
	for _, fields := range [][]Field{request5, request20} {
		name := fmt.Sprintf("fields=%d", len(fields))
		first, indexed := xnetTwice(b, fields)
		path := hpack.AppendHuffmanString(nil, "/assets/images/logo-4f2a1c.png?size=large")
		literal := append(
			append([]byte{0x04, 0x80 | byte(len(path))}, path...),
			bytes.Replace(indexed, []byte{0x84}, nil, 1)...)
		if fields[3].Value != "/" { // :path is dynamic there
			literal = append(
				append([]byte{0x04, 0x80 | byte(len(path))}, path...),
				bytes.Replace(indexed, indexed[3:4], nil, 1)...)
		}
		for _, block := range []struct {
			name   string
			octets []byte
		}{{"indexed", indexed}, {"path", literal}} {
			b.Run(name+"/"+block.name+"/sluice", func(b *testing.B) {
				d := NewDecoder(4096, 64<<10, 200)
				var m Message
				decodeInto(b, d, &m, first)
				b.ReportAllocs()
				for b.Loop() {
					d.blockCache.octets = d.blockCache.octets[:0]
					_ = d.Decode(block.octets, &m)
					if err := m.CheckRequest(1, false); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(name+"/"+block.name+"/again", func(b *testing.B) {
				d := NewDecoder(4096, 64<<10, 200)
				var m Message
				decodeInto(b, d, &m, first)
				b.ReportAllocs()
				for b.Loop() {
					_ = d.Decode(block.octets, &m)
					if err := m.CheckRequest(1, false); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(name+"/"+block.name+"/xnet", func(b *testing.B) { // without any check
				var got []Field
				d := hpack.NewDecoder(4096, func(f Field) { got = append(got, f) })
				_, _ = d.Write(first)
				_ = d.Close()
				b.ReportAllocs()
				for b.Loop() {
					got = got[:0]
					_, _ = d.Write(block.octets)
					_ = d.Close()
				}
			})
		}
	}
}

func BenchmarkNameByKey(b *testing.B) {
	for b.Loop() {
		ByKey("Accept-Encoding")
	}
}
