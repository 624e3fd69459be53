// Package serve is what the command "sluice serve" does: it opens the
// listeners, serves the demo site or a directory, prints what to try, and
// drains when it is told to stop. The command itself only turns flags into
// [Options].
//
// It owns the listeners and the server between the call of [Run] and its
// return. Run may be called by several goroutines with different Options.
//
// Limitations: one site for both listeners, no virtual hosts, no reload of the
// certificate.
package serve
