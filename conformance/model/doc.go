// Package model tests the living client and server against a model of what HTTP promises. It holds
// tests only.
//
// A script is a list of operations that is made from a seed: requests with bodies, cancellations,
// refusals, GOAWAY, deliveries cut anywhere, connections that stall or break. Each request says
// what its handler does and what its caller does, call by call. A script runs in one
// testing/synctest bubble, with a client.Transport or ClientConn and a server.Server over
// connections in memory, and must end with everything idle:
//
//   - every request ends exactly once, and no handler runs twice for it;
//   - every octet of a body is the one that was sent, and a body that is reported whole is whole;
//   - a request that nothing disturbs succeeds;
//   - what an error calls unprocessed was not processed;
//   - no goroutine, slot or credit is left, no body unclosed, and nothing waits for ever.
//
// Scripts run in child processes, since a deadlock of a bubble ends its process. One that fails is
// made as short as it can be and printed as text, which TestScripts takes. The variables of the
// environment are described at TestModel.
//
// Limitations: the order in which goroutines run is Go's, so a seed that has failed once may pass;
// shortening tries each script several times. Timers that stay set without a goroutine are
// not seen.
package model
