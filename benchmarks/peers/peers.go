// Package peers holds what the command compare needs to start servers that are
// not in Go: their configuration, as templates of package text/template, and
// the source of the one on hyper, in Rust.
//
// Each gives the answers of package peerserver, as far as it can: small ones from
// its configuration or memory where it has a way to, others from files.
//
// Limitations: h2o and nghttpd take small answers, too, from files, which they
// keep open; nginx, Caddy and h2o do not read request bodies without a program
// behind them (nginx would answer and drop the rest), and so have no uploads;
// nghttpd cannot add response fields.
package peers

import "embed"

// Files has the templates by name, and hyper's source below "hyper".
//
//go:embed nginx.conf h2o.conf Caddyfile node.js hyper/Cargo.toml hyper/src
var Files embed.FS
