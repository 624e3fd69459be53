// Package client is an HTTP/2 (RFC 9113) transport for net/http.
//
//	hc := &http.Client{Transport: &client.Transport{}}
//	resp, err := hc.Get("https://example.com/")
//
// There are three ways to use it:
//   - [Transport] is an http.RoundTripper of its own, with the fields of http.Transport and more.
//     The zero value is ready to use. HTTP/1.1 is left to net/http, where ALPN or the URL's scheme
//     say so.
//   - [Configure] has an http.Transport use this package in place of its own HTTP/2.
//   - [Transport.NewClientConn] gives one connection over any net.Conn.
//
// A Transport dials, keeps a pool of connections that knows how many streams each has free, sends
// requests again that a server has not processed, and asks with PING whether a silent server is
// still there.
//
// # Errors
//
// A request that fails by its connection or stream fails with an [*Error], which says where, and
// whether the request may be sent again. The end of a context gives the context's error. Nothing is
// sent again that the server might have processed. The text begins with that of net/http's HTTP/2
// for the same fault, errors.As finds the StreamError, GoAwayError and ConnectionError of
// golang.org/x/net/http2 in it, and url.Error.Timeout and os.IsTimeout recognize timeouts.
//
// # Goroutines
//
// Everything may be called by any goroutine. A connection has one goroutine of its own, which
// reads. The goroutine that sends a request writes it, or, where the socket might block, a
// goroutine that lives as long as the write. A request has no goroutine of its own while it waits
// or is read, but one while its body is sent, if that is not small and in memory.
//
// Hooks of httptrace for interim responses are called by the goroutine that reads the connection
// and must not block.
//
// # Tunnels
//
// [Transport.Connect] makes a connection of a CONNECT request, or of one of extended CONNECT (RFC
// 8441), WebSocket over HTTP/2 for example. With RoundTrip such a request works as in net/http: its
// Body goes one way and the response's Body the other, and Header[":protocol"] makes it extended
// CONNECT. (The RoundTrip of an http.Transport refuses that field, also with Configure; the Connect
// of what Configure returns does not.)
//
// A request with "Upgrade: websocket" goes over HTTP/1.1, as with net/http, or with
// Transport.WebSocketHTTP2 over HTTP/2 where the server has RFC 8441. Either way the response has
// the status 101, and a Body that is an io.ReadWriteCloser, as WebSocket libraries and
// httputil.ReverseProxy want it. [Transport.DialWebSocket] is for libraries that dial by
// themselves.
//
// # Push
//
// Servers may push where Transport.PushHandler or Transport.PushCache is set. A [PushHandler]
// decides about each push, and a [PushCache] answers later requests with them.
//
// # Priorities
//
// [WithPriority] has the requests of a context ask the server to be answered sooner or later than
// others, and [UpdatePriority] changes that while they run. A Priority field in a request's header
// is sent like any other.
//
// # Long paths
//
// How much of a response a server may send ahead of the reader grows with bandwidth and delay of
// the path, where responses are read as they come: 1 Gbit/s over 100 ms is filled with nothing
// configured. Transport.MaxReceiveBufferGrowth bounds the memory for that, and [ClientConn.Stats]
// has the round-trip time.
//
// # Origins
//
// With Transport.Coalesce, origins that a server names in ORIGIN frames (RFC 8336) and has a
// certificate for share its connection. Transport.AltSvcHandler is called with alternative services
// (RFC 7838); the Transport uses none of them.
//
// # Differences from net/http
//
// What a server sees of a request is what it sees of net/http's HTTP/2, and what cannot be sent is
// refused in net/http's words before anything is dialled, with these exceptions:
//   - White space at the ends of values is not sent (RFC 9113 §8.2.1), nor are empty cookie
//     crumbs.
//   - A space or "#" left in URL.RawQuery is sent as %20 or %23; control characters in it are
//     refused.
//   - The zone of an IPv6 address is not sent (RFC 6874 §4), and of TE only "trailers".
//   - Trailers that are set while the body is read are checked, too, and fail the request.
//   - A body shorter than Request.ContentLength fails the request.
//   - Trailers of a request without a body are sent; net/http never ends such a request.
//   - A request that is cancelled is reset at once, as is one whose response's body was closed,
//     also while its own body waits in Read.
//   - A response without content, though its Content-Length is not 0, fails the request (RFC
//     9113 §8.1.1), and not only the reading of its body.
//   - An interim response keeps its Trailer field.
//   - A response with a connection-specific field (RFC 9113 §8.2.2), more than one
//     Content-Length or one that is no number, or a status below 100, fails the request, and so
//     does content with status 204 or 304.
//   - White space at the ends of a response's values is cut off (RFC 9110 §5.5).
//
// # Limitations
//
// A response with a status of 300 or more ends the sending of the request's body, as with net/http.
// A server that has sent a part of such a response and waits for the rest of the request waits
// until the caller closes the response's body or the request's context ends.
//
// Nothing is sent in TLS early data, which crypto/tls does not offer on TCP. So a 425 (Too Early)
// is returned to the caller: by RFC 8470 §5.2 only a request that was sent in early data is sent
// again, and an intermediary passes the response to an Early-Data field on. Cookies are split into
// crumbs; the order of other fields is that of the map.
package client
