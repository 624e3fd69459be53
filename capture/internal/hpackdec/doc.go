// Package hpackdec decodes header blocks (RFC 7541) of connections whose beginning, or a part of
// which, was not seen: what cannot be known is a value, not an error.
//
// An index counts from the newest entry of the dynamic table. So entries that were added since the
// capture began, or since octets were lost, are found with certainty, however many lie behind them.
// An index to what lies behind gives a field of state Unknown or Tainted.
//
// A Decoder goes on after an error. Where the place of the next field is known, as behind a string
// that Huffman cannot decode, it goes on with that; elsewhere the rest of the block is lost, and
// the older entries are tainted.
package hpackdec
