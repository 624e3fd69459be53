// Package syntax has the grammar of HTTP and of URLs as far as several packages need it: tokens,
// field values and their lists (RFC 9110 §5.5, §5.6), paths, hosts and ports (RFC 3986 §3). It
// knows no field by its name, and no frame: for these see conn/header.
package syntax
