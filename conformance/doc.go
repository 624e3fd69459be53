// Package conformance proves the server and the client against programs and suites that are not
// ours. It holds tests only.
//
// It owns these kinds of proof, each on the loopback address and with our side in the test's own
// process. For the server:
//
//   - h2spec: every case of the h2spec suite for servers, strict ones included, is one subtest,
//     over cleartext and over TLS: go test -run 'TestH2SpecServer/tls/http2/6.5.3/1' ./conformance
//   - peers: curl, nghttp, h2load, node, httpx, HAProxy and Chromium talk to the server, and tshark
//     reads the bytes it sent. A test whose program is not installed is skipped with a message that
//     says so. With CI=true or SLUICE_REQUIRE_PEERS=1 in the environment a missing program is a
//     failure.
//   - hostile peers: each known attack on HTTP/2 servers is sent frame by frame, and the test
//     states what the server has to keep bounded and with which error it has to end the connection.
//
// For the client:
//
//   - h2spec: every case of its suite for clients: go test -run 'TestH2SpecClient/h2c/client/5.1/8'
//     ./conformance
//   - peers: the Transport talks to net/http's server, node, nghttpd, nginx, h2o, Caddy and our
//     own, with the same rule for what is not installed. Their configuration is made by the tests,
//     and nothing but loopback ports is used.
//   - GOAWAY: ten thousand requests pass through hundreds of connections that end, in every way and
//     at every moment, and each is acted on exactly once.
//
// The module in the folder rpc does the same with grpc-go and connect-go, the one in tunnels with
// what programs use as a net.Conn that is no socket: channels of SSH, streams of yamux, WebSockets
// and pipes.
//
// It does not test parsers, states or windows one by one; the tests of those packages do.
//
// Limitations: the peers' tests need a Unix system and leave out what the installed versions cannot
// do.
package conformance
