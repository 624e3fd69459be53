// Package export writes what a capture or a live connection shows in formats of other tools: HAR,
// which waterfall-tools, sitespeed.io's PerfCascade and the developer tools of browsers read, and
// the trace events in JSON that ui.perfetto.dev and chrome://tracing draw.
//
// Both writers are capture.Handlers that write events as they come, so that their memory does not
// grow with the capture; how much they write is bounded by their options. Values that are secrets
// have been hidden by their source, unless its options say otherwise.
package export
