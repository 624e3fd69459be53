// Shares prints which share of a slow connection each of several responses gets, beside the share
// that the scheduler decides on.
//
//	go run ./benchmarks/shares
//	go run ./benchmarks/shares -run 'server/.*/urgency' -rate 50 -mib 64
//
// Responses without an end are sent over loopback TCP to a reader that takes a fixed number of
// octets a second, through package server, package conn and net/http (which knows no priorities of
// RFC 7540 and whose shares are those of a round robin), in the clear and over TLS, by calls of
// Write of several sizes, by Write and Flush, and by io.Copy from a reader. What the scheduler
// decides on is found by asking one of its kind, with all streams ready all the time.
//
// The test of the package measures a part of that, and fails where a share is off by 0.05 of the
// connection or more.
//
// Limitations: what the kernel has taken before all responses have begun is not counted (-skip).
// Nothing is said about readers that are as quick as the handlers: then the CPU is what is shared.
package main
