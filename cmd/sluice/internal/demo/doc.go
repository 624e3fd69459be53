// Package demo is the site that "sluice serve" shows when it is given no
// directory: a page whose picture comes in 50 pieces and that shows, by the
// browser's own timing entries, over which protocol and which connection each
// piece came, and a handful of endpoints for the command line.
//
// It owns the site's files and handlers and is plain net/http: it
// imports no other package of this module. A Site is an http.Handler for any number of goroutines.
//
// Limitations: it is made to be looked at and tried out. It has no access
// control, and /bytes and /stream send as much as they are asked for, up to
// the bounds in endpoints.go.
package demo
