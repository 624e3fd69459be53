// Package lab has what programs share that compare sluice with net/http: a
// process of its own for each side, pinned to a CPU, which reports what it has
// used, and medians of rounds.
//
// It does not know what is measured. Values are used by one goroutine at a
// time.
//
// Limitations: the CPU time of a process is only known on Linux, and processes
// are pinned only where there is taskset (util-linux).
package lab
