// Command sluice serves over HTTP/2 from the command line.
//
//	go run ./cmd/sluice serve
//
// starts a demo site on https://localhost:8443/ with a certificate made in
// memory, and on http://localhost:8080/, and prints what to try. With --dir it
// serves a directory instead; --help lists the flags.
//
//	go run ./cmd/sluice proxy
//
// runs a forward proxy on http://127.0.0.1:3128/; docs/TUNNELS.md shows how to
// set it up.
package main
