// Package frame is the wire format of HTTP/2 (RFC 9113 §4, §6 and §7): the frame header, the ten
// frame types with their flags and padding, settings, error codes and the two kinds of protocol
// error. It also knows ALTSVC (RFC 7838 §4), ORIGIN (RFC 8336 §2) and PRIORITY_UPDATE
// (RFC 9218 §7.1), and keeps frames of other types as they are.
//
// # Reading
//
// [Split] takes the first complete frame from a buffer. The typed parser for its type, for example
// [ParseData], decodes the payload and checks every rule of RFC 9113 §6 that needs no knowledge
// beyond the frame itself: sizes, padding, reserved identifiers, and whether the frame belongs on a
// stream or on the connection. [Parse] is the general form for tools and tests.
//
// Byte slices in a parsed frame are views into the payload that was given to the parser. They are
// valid until the caller changes those octets; a caller that keeps them longer copies them. Their
// capacity is limited to their length, so that appending to one does not overwrite the frame that
// follows it in the buffer.
//
// [Reader] does that over an io.Reader: it reads complete frames, joins a header block that came in
// HEADERS or PUSH_PROMISE and CONTINUATION frames, checks that nothing interrupts it
// (RFC 9113 §6.10), and bounds the size of frames, the size of blocks and the number of
// CONTINUATION frames. Decoder of package conn/header decodes the blocks.
//
// # Writing
//
// Every frame type has an Append method, which appends the wire form to a byte slice and returns
// the longer slice, as the built-in append does. Append panics on a frame that has no wire form: a
// payload of more than 2^24-1 octets, a stream identifier or window increment above 2^31-1,
// wherever in the frame it stands, or a length-prefixed field longer than its prefix can say. It
// does not check anything else, so that tests can write what a peer must refuse: an identifier or
// increment of 0, for example. Fields that count only with another one, as PadLength does with
// Padded and Priority with HasPriority, are not written without that.
//
// [Headers.AppendSplit] and [PushPromise.AppendSplit] write a header block that is longer than a
// frame may be, as one frame followed by CONTINUATION frames.
//
// # Errors
//
// A parser returns one of three errors (RFC 9113 §5.4). [*ConnError] ends the connection with
// GOAWAY, [*StreamError] ends one stream with RST_STREAM, and [ErrIgnore] says that the frame
// belongs to an extension whose RFC tells the receiver to drop such a frame without an error. A
// parser never panics on what a peer sent.
//
// # Concurrency
//
// Nothing here but Reader has state. All other functions and methods may be called from any
// goroutine, as long as no goroutine writes to a byte slice that another one reads. There is no
// lock and no clock, no I/O but by a Reader, and neither [Split] nor a typed parser nor Append into
// a slice with enough capacity allocates memory, unless it returns an error.
//
// # Limitations
//
//   - Rules that need the state of a stream or of the connection are not checked here: which frame
//     may come in which state, that identifiers rise, that a window is respected. That CONTINUATION
//     follows its HEADERS without interruption is checked by Reader only.
//   - Field blocks (RFC 9113 §4.3) are opaque octets; HPACK is elsewhere.
//   - Padding is not inspected: octets other than zero are accepted, as RFC 9113 §6.1 allows, and
//     written back as zeros.
//   - The text in ALTSVC, ORIGIN and PRIORITY_UPDATE is not parsed.
package frame
