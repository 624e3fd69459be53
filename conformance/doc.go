// Package conformance proves the server against judges that are not ours. It holds tests only.
//
// It owns three kinds of proof, each against a server that runs in the test's own process on the loopback address:
//
//   - h2spec: every case of the h2spec suite for servers, strict ones included, is one subtest, over cleartext and
//     over TLS: go test -run 'TestH2SpecServer/tls/http2/6.5.3/1' ./conformance
//   - peers: curl, nghttp, h2load, node and Chromium talk to the server, and tshark reads the bytes it sent. A test
//     whose program is not installed is skipped with a message that says so. With CI=true or
//     SLUICE_REQUIRE_PEERS=1 in the environment a missing program is a failure.
//   - hostile peers: each known attack on HTTP/2 servers is sent frame by frame, and the test states what the server
//     has to keep bounded and with which error it has to leave.
//
// It does not test parsers, states or windows one by one; the tests of those packages do.
//
// Limitations: the peers' tests leave out what the installed versions cannot do, and only on Unix are processes that
// a peer has left behind killed with it.
package conformance
