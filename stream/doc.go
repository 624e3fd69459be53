// Package stream knows the life of HTTP/2 streams (RFC 9113 §5.1).
package stream
