// Package hpackdec decodes header blocks (RFC 7541) of connections whose beginning, or a part of
// which, was not seen: what cannot be known is a value, not an error.
package hpackdec
