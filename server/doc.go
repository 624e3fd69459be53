// Package server answers HTTP/2 with the handlers of net/http.
//
// A [Server] takes the place of an http.Server. It serves HTTP/2 and HTTP/1.1 on one port, over TLS
// and on cleartext:
//
//	srv := &server.Server{Addr: ":8443", Handler: mux}
//	err := srv.ListenAndServeTLS("cert.pem", "key.pem")
//
// [Configure] has an http.Server that exists serve HTTP/2 with this package, in place of net/http's
// own HTTP/2:
//
//	err := server.Configure(httpServer, nil)
//
// [Server.ServeConn] serves one connection over any net.Conn. With [Server.ServeConnWith] it has a
// context, a handler and settings of its own, and what was read from it before is handed along.
//
// The settings of HTTP/2 are in [Config]. Fields that conn.Config has too are documented there.
//
// Handlers see what net/http documents: everything of http.ResponseController, trailers both ways,
// 1xx responses, 100-continue, http.MaxBytesReader, request contexts, http.ErrAbortHandler. The
// last section lists the differences.
//
// # Concurrency
//
// All methods of Server may be called by any goroutine. A ResponseWriter belongs to the goroutine
// of its handler, as in net/http; Request.Body may be read and closed by others. Handlers of one
// connection may share a goroutine while they are quick: see [Dispatch].
//
// # Shutdown
//
// [Server.Shutdown] sends GOAWAY, lets requests finish and returns when all connections are closed
// and all handlers have returned. Config.MaxConnectionAge drains a connection in the same way.
//
// # CONNECT and WebSocket
//
// A handler makes a connection of a CONNECT request with [AcceptConnect], and so of one of extended
// CONNECT (RFC 8441) where Config.EnableConnectProtocol offers that. [WebSocket] has handlers that
// were written for HTTP/1.1, with any library, serve WebSockets over HTTP/2:
//
//	srv := &server.Server{Addr: ":8443", Handler: server.WebSocket(mux)}
//
// # Priorities
//
// Clients say which responses they need first (RFC 9218, RFC 7540 §5.3), and Config.Scheduler sends
// in that order. A handler overrides the client for its response by the field Priority, or by
// [SetPriority].
//
// # Long paths
//
// How much of a request body a client may send ahead of the handler grows with bandwidth and delay
// of the path, for handlers that read what comes: 1 Gbit/s over 100 ms is filled with nothing
// configured. Config.MaxReceiveBufferGrowth is the memory for that.
//
// # Origins
//
// Config.Origins tells clients for which origins a connection may be used (RFC 8336),
// Config.AltServices where else one is served (RFC 7838).
//
// # Push
//
// The ResponseWriter is an http.Pusher (RFC 9113 §8.4). A pushed request goes through the Handler
// like any other, with the same limits, and its context ends when the client refuses it. Push
// returns http.ErrNotSupported where the client takes no pushes, as browsers today, and where the
// request was itself pushed; another error where the promise would break a rule, or the client's
// limit of streams is reached. A push that is refused has no effect on the response.
//
// [PushPreloads] pushes what responses name in Link fields with rel=preload. [EarlyHints] sends
// these fields in a 103 response, before the handler has one, to clients that take no pushes.
//
// # Layers
//
// This package owns what net/http's server owns above the connection: listeners, ALPN and the
// choice between HTTP/1.1 and HTTP/2, the http.Request and http.ResponseWriter of an exchange,
// which goroutine runs a handler, and graceful shutdown. It writes no frames: frames, windows and
// streams belong to package conn. HTTP/1.1 is answered by an http.Server inside.
//
// # Differences from net/http
//
// Where this package and net/http's own HTTP/2 differ, the difference is listed here:
//   - Requests of one connection may share a goroutine while they are quick; see [Dispatch].
//   - A handler that waits in Request.Body.Read is woken when the client resets the stream.
//   - A response that ends before its declared Content-Length is reset, not ended.
//   - A :path that is no valid URL is answered with 400, an Expect other than 100-continue with
//     417.
//   - What http.Pusher pushes must be for the authority that the request was for; see Push above.
//   - A request with an Early-Data field and a method that is not safe is answered with 425; see
//     [EarlyData].
//   - On a cleartext port with HTTP/1.1 and HTTP/2, a client whose first line is a request line of
//     neither is disconnected without an answer.
//   - Trailers of a response with status 204 or 304 are not sent: it ends with its header (RFC 9110
//     §15.3.5).
//   - A Write that finds the stream dead fails, also where it fits the buffer, and so does each
//     call after it.
//   - A Flush of a complete response, after HEAD for example, is no error.
//   - CONNECT and extended CONNECT need an authority. Other requests do not: as with net/http, one
//     with neither :authority nor Host is served with an empty Host, though RFC 9113 §8.3.1 asks
//     for one.
//   - A Content-Length with status 204 is not sent (RFC 9110 §8.6).
//   - Shutdown waits for handlers whose stream was reset or lost, and ends the contexts of tunnels;
//     see [AcceptConnect].
//   - A request with a TE field other than "trailers" is reset (RFC 9113 §8.2.2), not answered with
//     400. So is one with a connection-specific field, with white space at the ends of a field
//     value (§8.2.1), a Host other than :authority (§8.3.1), or more than one Content-Length.
//   - A request whose body is not as long as its Content-Length says is reset, its response
//     included (RFC 9113 §8.1.1).
//   - A request that has ended before its handler is called, without content, has a ContentLength
//     of 0.
//   - The context of a request whose response is complete before its handler has returned, after a
//     Flush with HEAD for example, is not done before that.
//   - Reading a request's body that was closed gives http.ErrBodyReadAfterClose.
//   - 100 (Continue) is sent only for a request with content, and then also behind other interim
//     responses.
//   - WriteTimeout and SetWriteDeadline reset the stream and end the request's context at that
//     time.
//   - A response without content ends with its header, also where trailers were announced and none
//     was set.
//   - A client that closes its direction of the connection is taken to leave, as with net/http:
//     handlers that run fail to write, and their contexts end. But what they had written is sent to
//     one that reads on, within Config.WriteByteTimeout or, where that is not set, 30 s: the
//     response of a handler that has returned is whole.
//   - Using a ResponseWriter after the handler has returned gives an error and does not panic.
package server
