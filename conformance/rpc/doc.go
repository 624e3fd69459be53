// Package rpc proves that the great users of HTTP/2 in Go work on this module: gRPC for Go,
// Connect, and WebSocket. It holds tests only, and is a module of its own, so that users of sluice
// do not download them.
//
// Three combinations are tested, each over cleartext and over TLS, each with unary,
// server-streaming, client-streaming and bidirectional calls, deadlines, cancellation, large
// messages and errors in trailers:
//
//   - grpc-go's server, through its ServeHTTP, on server.Server, called by grpc-go's own client;
//   - Connect's client over client.Transport, speaking the Connect, gRPC and gRPC-Web protocols to
//     Connect's handlers on server.Server and on net/http's server;
//   - the same client, speaking gRPC to grpc-go's server on its own HTTP/2 implementation.
//
// WebSocket over HTTP/2 (RFC 8441) is tested with the frames of coder/websocket on both sides:
// extended CONNECT takes the place of its handshake, and client.Transport.Connect and
// server.AcceptConnect give it the connection.
//
// Messages are the well-known types of Protocol Buffers and services are described by hand: no code
// is generated.
//
// Run it with: cd conformance/rpc && go test ./...
package rpc
