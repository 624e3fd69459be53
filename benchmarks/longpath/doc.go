// Package longpath shows how much of a long and fast path one stream fills, with sluice and with
// net/http at either end.
//
//	go test -v ./benchmarks/longpath
//
// moves 512 MiB in each direction over 1 Gbit/s with a round trip of 100 ms and over 10 Gbit/s with
// 10 ms, and prints a table. The path is in memory and time is that of a testing/synctest bubble,
// so the figures are exact, the same on every machine, and there in seconds. With -short only
// sluice's own two ends run.
//
// The share is that of the time which the octets of the body alone would take. So the request's
// way, the frames' headers and the windows' growth are counted as losses.
//
// Limitations: the path loses and reorders nothing, and what TCP would do, its slow start above
// all, is not simulated: a sender may have on its way what flow control allows it.
package longpath
