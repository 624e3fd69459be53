// Package differential runs random handlers and random clients against the HTTP/2 of net/http and
// against ours, and compares what each side sees. It holds tests only.
//
// A handler and a client are programs of steps. A program runs with net/http on both sides, with
// each server of ours below net/http's client, and with each client of ours before net/http's
// server; all must see the same, but for what the package documentation of server and client lists
// as a difference. A program that fails is printed with its seed and made as short as it can be: go
// test -run TestDifferential ./conformance/differential -differential.seed=17
// -differential.programs=1
package differential
