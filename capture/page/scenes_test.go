package page

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

// pageLoad is a browser that loads a site: pushes, both kinds of stalls, an upload, a reset.
func pageLoad(h capture.Handler) {
	s := connect(h, 1, 0, capture.Connection{
		Protocol: capture.HTTP2, Found: "preface",
		TLS: &capture.TLS{
			Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, ALPN: "h2",
			Offered: []string{"h2", "http/1.1"}, ServerName: "www.example.com", Resumed: true,
		},
	})
	s.at(31).settings(131072)
	s.update(capture.Client, 0, 196_608-65535)
	s.at(31.6).get(1, "GET", "/")
	document(s)
	subresources(s)
	upload(s)
	images(s)
	video(s)
	lateRequests(s)
	s.at(1290).send(capture.Server, frame.GoAway{LastStreamID: 33, Code: frame.NoError, DebugData: []byte("restart")}, 0)
	s.at(1310).end("closed")
}

// document answers the page itself, and pushes a style sheet.
func document(s *simulation) {
	s.at(92)
	s.reqs[2] = &capture.Request{
		Conn: 1, Stream: 2, Method: "GET", Scheme: "https", Authority: "www.example.com", Path: "/assets/site.css",
		Pushed: true, Parent: 1, Start: s.time(), RequestEnd: s.time(),
	}
	s.send(capture.Server, frame.PushPromise{StreamID: 1, PromisedID: 2, EndHeaders: true}, 38, field(":method", "GET"),
		field(":scheme", "https"), field(":authority", "www.example.com"), field(":path", "/assets/site.css"))
	s.at(93.1).answer(1, "200", "text/html; charset=utf-8", field("content-encoding", "br"))
	s.body(capture.Server, 1, 93.2, 104, 38_211, true)
	s.done(1)
	s.at(105).answer(2, "200", "text/css")
	s.body(capture.Server, 2, 105.2, 112, 24_502, true)
	s.done(2)
	s.at(112.5).update(capture.Client, 0, 62_713)
}

// subresources are scripts and fonts, answered in turns.
func subresources(s *simulation) {
	paths := []string{
		"/assets/app.js", "/assets/vendor.js", "/assets/fonts/inter-var.woff2", "/api/session", "/assets/icons.svg",
	}
	for i, p := range paths {
		s.at(118+float64(i)*0.4).get(uint32(3+2*i), "GET", p)
	}
	s.at(151).answer(9, "404", "application/json")
	s.at(151.3).data(capture.Server, 9, 212, true)
	s.done(9)
	s.at(166).answer(3, "200", "text/javascript")
	s.at(167).answer(5, "200", "text/javascript")
	s.at(171).answer(7, "200", "font/woff2")
	s.at(172).answer(11, "200", "image/svg+xml")
	at := 173.0
	for round := range 4 {
		for _, stream := range []uint32{3, 5, 7, 11} {
			last := map[uint32]int{3: 1, 5: 3, 7: 1, 11: 0}[stream]
			if round <= last {
				at += 2.1
				s.at(at).data(capture.Server, stream, 14_200-uint32(round)*900, round == last)
				if round == last {
					s.done(stream)
				}
			}
		}
	}
	s.at(at+2).update(capture.Client, 0, 113_000)
}

// upload is a POST for which the server gives little window.
func upload(s *simulation) {
	s.at(205).get(13, "POST", "/api/photos", field("content-type", "image/jpeg"),
		capture.Field{Name: "authorization", Value: "(hidden)", Hidden: true})
	at := 206.0
	for i := range 4 {
		s.body(capture.Client, 13, at, at+9, 65_535, i == 3)
		if i < 3 {
			f := s.at(at+75).update(capture.Server, 13, 65_535)
			s.update(capture.Server, 0, 65_535)
			s.stall(capture.Client, 13, capture.BothWindows, at+9, f)
			at += 76
		}
	}
	s.at(at+20).update(capture.Server, 0, 65_535)
	s.at(at+48).answer(13, "201", "application/json")
	s.at(at+48.2).data(capture.Server, 13, 96, true)
	s.done(13)
}

// images use up the window of the connection.
func images(s *simulation) {
	streams := []uint32{15, 17, 19, 21}
	for i, stream := range streams {
		s.at(508+float64(i)*0.3).get(stream, "GET", fmt.Sprintf("/img/gallery/%d.avif", 1041+i))
	}
	for i, stream := range streams {
		s.at(530+float64(i)*0.4).answer(stream, "200", "image/avif")
	}
	at := 534.0
	for i := range 12 {
		n := min(16_384, s.window[capture.Server])
		s.body(capture.Server, streams[i%4], at, at+2, uint32(n), false)
		at += 2.2
	}
	f := s.at(688).update(capture.Client, 0, 188_700)
	for _, stream := range streams {
		s.stall(capture.Server, stream, capture.ConnWindow, at, f)
	}
	s.finding(f, capture.Note, "window-late", "RFC 9113 §6.9.1",
		"4 streams waited 128 ms for the connection's window, which the client had not yet given back")
	for i, stream := range streams {
		s.body(capture.Server, stream, 690+float64(i)*6, 695+float64(i)*6, 31_000+uint32(i)*2500, true)
		s.done(stream)
	}
	s.at(716).update(capture.Client, 0, 139_000)
}

// video stalls on its own window, and is reset in the end.
func video(s *simulation) {
	s.at(724).get(23, "GET", "/media/intro.mp4?access_token=(hidden)&quality=1080p", field("range", "bytes=0-"))
	s.at(748).answer(23, "206", "video/mp4")
	at := 750.0
	for range 2 {
		s.body(capture.Server, 23, at, at+26, 131_072, false)
		s.at(at+27).update(capture.Client, 0, 131_072)
		f := s.at(at+96).update(capture.Client, 23, 131_072)
		s.stall(capture.Server, 23, capture.StreamWindow, at+26, f)
		at += 97
	}
	s.body(capture.Server, 23, at, at+18, 90_000, false)
	r := s.reqs[23]
	r.ResetBy, r.ResetCode = "client", frame.Cancel
	s.at(at+19).send(capture.Client, frame.RSTStream{StreamID: 23, Code: frame.Cancel}, 0)
	late := s.at(at+19.4).data(capture.Server, 23, 8_000, false)
	s.at(at + 19.4).done(23)
	s.finding(late, capture.Warning, "data-after-reset", "RFC 9113 §5.1",
		"DATA of 8,000 octets was sent on a stream that its receiver had closed")
}

// lateRequests are gRPC, an error, and some that waited for a stream to become free.
func lateRequests(s *simulation) {
	s.at(970).get(25, "POST", "/shop.v1.Cart/Watch", field("content-type", "application/grpc"), field("te", "trailers"))
	s.at(970.4).data(capture.Client, 25, 47, true)
	s.at(986).answer(25, "200", "application/grpc")
	for i := range 9 {
		s.at(990+float64(i)*11).data(capture.Server, 25, 61, false)
	}
	s.at(1092).send(capture.Server, frame.Headers{StreamID: 25, EndHeaders: true, EndStream: true}, 20,
		field("grpc-status", "0")).Trailer = true
	s.reqs[25].GRPC = &capture.GRPC{Method: "/shop.v1.Cart/Watch", Count: [2]int64{1, 9}}
	s.at(1092).done(25)
	for i := range 3 {
		stream, ms := uint32(27+2*i), 1096+float64(i)*44
		s.at(ms).get(stream, "GET", fmt.Sprintf("/api/reviews?page=%d", i+1))
		s.reqs[stream].Wait.Concurrency = time.Duration(40+i*44) * time.Millisecond
		s.at(ms+31).answer(stream, []string{"200", "200", "503"}[i], "application/json")
		s.body(capture.Server, stream, ms+32, ms+40, 18_000, true)
		s.done(stream)
	}
	s.at(1234).get(33, "HEAD", "/health")
	s.at(1253).answer(33, "204", "")
	s.at(1253).done(33)
	bad := s.at(1262).send(capture.Server, frame.WindowUpdate{StreamID: 41, Increment: 100}, 0)
	s.finding(bad, capture.Error, "idle-stream", "RFC 9113 §5.1",
		"WINDOW_UPDATE was sent on stream 41, which is idle: the client has opened streams up to 33")
}

// otherConns are connections of other kinds: HTTP/1.1, one without a key, one in the midst.
func otherConns(h capture.Handler) {
	h(&capture.Connection{
		ID: 2, Time: t0.Add(12 * time.Millisecond), Protocol: capture.HTTP1, Found: "text",
		Client: netip.MustParseAddrPort("192.0.2.17:51714"), Server: netip.MustParseAddrPort("203.0.113.80:80"),
	})
	at := func(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }
	h(&capture.Message{Conn: 2, Stream: 1, Time: at(13), Line: "GET /generate_204 HTTP/1.1", Fields: []capture.Field{
		field("Host", "connectivity.example"),
	}})
	h(&capture.Message{Conn: 2, Stream: 1, Time: at(41), Dir: capture.Server, Line: "HTTP/1.1 204 No Content"})
	h(&capture.Request{
		Conn: 2, Stream: 1, Method: "GET", Scheme: "http", Authority: "connectivity.example", Path: "/generate_204",
		Status: 204, Start: at(13), RequestEnd: at(13), Response: at(41), End: at(41), Complete: true,
	})
	h(&capture.Connection{
		ID: 3, Time: at(20), Protocol: capture.Unknown, TLS: &capture.TLS{
			Version: tls.VersionTLS13, CipherSuite: tls.TLS_CHACHA20_POLY1305_SHA256, ServerName: "telemetry.example",
			Encrypted: true,
		},
		Client:  netip.MustParseAddrPort("[2001:db8::17]:51720"),
		Server:  netip.MustParseAddrPort("[2001:db8:ffff::9]:443"),
		Problem: "No key for client random 5f3a…c1: the key log has 14 others.",
	})
	s := connect(h, 4, 60*time.Millisecond, capture.Connection{
		Protocol: capture.HTTP2, Found: "frames", StartMissing: true,
		Client: netip.MustParseAddrPort("192.0.2.17:50990"), Server: netip.MustParseAddrPort("198.51.100.23:8443"),
	})
	h(&capture.Gap{Conn: 4, Time: at(60), Octets: -1, Reason: "start", Text: "The capture begins in the midst of it."})
	s.at(64)
	s.reqs[117] = &capture.Request{Conn: 4, Stream: 117, Start: s.time(), RequestEnd: s.time()}
	s.send(capture.Client, frame.Headers{StreamID: 117, EndHeaders: true, EndStream: true}, 30,
		field(":method", "GET"), capture.Field{State: capture.UnknownField, Index: 71},
		capture.Field{Name: ":path", Value: "/v2/items", State: capture.Tainted, Index: 63}).Tainted = true
	f := &capture.Frame{
		Conn: 4, Number: s.frames + 1, Time: at(80), First: at(80), Dir: capture.Server,
		Header: frame.Header{Type: frame.TypeWindowUpdate, Length: 3}, Err: errors.New("payload is not 4 octets"),
	}
	h(f)
	h(&capture.Gap{
		Conn: 4, Time: at(83), Dir: capture.Server, Octets: 1448, Reason: "lost",
		Text: "1,448 octets of the server are not in the capture.",
	})
	s.frames++
	s.at(90).answer(117, "200", "application/json")
	s.at(90.4).data(capture.Server, 117, 300, true)
	s.done(117)
	s.end("open")
}

// many is a connection with n frames: streams that take turns, 40 at once.
func many(h capture.Handler, n int) {
	s := connect(h, 1, 0, capture.Connection{Protocol: capture.HTTP2, Found: "preface"})
	s.at(1).settings(1 << 30)
	s.window[capture.Server] = 1 << 40
	next := uint32(1)
	left := map[uint32]int{}
	var open []uint32
	for i := 0; s.frames < uint64(n); i++ {
		s.now += 37 * time.Microsecond
		if len(open) < 40 {
			s.get(next, "GET", fmt.Sprintf("/objects/%06d", next))
			s.answer(next, "200", "application/octet-stream")
			left[next] = 10 + int(next)%90
			open = append(open, next)
			next += 2
			continue
		}
		stream := open[i%len(open)]
		left[stream]--
		s.data(capture.Server, stream, 1200, left[stream] == 0)
		if left[stream] == 0 {
			s.done(stream)
			open[i%len(open)] = open[len(open)-1]
			open = open[:len(open)-1]
		}
	}
	s.end("open")
}
