// Package bench has what a comparison needs of the machine: processes that are
// pinned to CPUs, what they have used (CPU time, memory, system calls), and
// medians of rounds.
//
// It does not know what is measured. Its values may be used by one goroutine at a time.
//
// Limitations: what a process uses is only known on Linux, and processes are
// pinned only where there is taskset (util-linux).
package bench
