// Package tcpstream puts TCP segments in order, and says which octets are missing.
//
// An [Assembler] gets the segments of all connections as a capture has them: lost, late, doubled,
// cut, or from the middle on. What it hands to a wire.Sink:
//
//   - The octets of each direction in order, each once. Where copies differ the first one counts,
//     as with most receivers.
//   - Both directions in the order of cause and effect: a segment is held back until what it
//     acknowledges was handed on. Captures of which packets were shuffled within some 20 packets
//     come out as the others do.
//   - Octets that the capture does not have as lost, with their number. A hole is given up when the
//     peer has acknowledged octets in it, so that they have arrived, and when [maxWaitPackets]
//     packets of the connection have not brought them; or at the end.
//
// What waits for a hole is bounded ([Options]); behind the bound the oldest hole is given up.
//
// # Beginnings
//
// The side that has sent SYN, or got SYN and ACK, is the client. A connection whose first packets
// are not in the capture begins with the first octets seen, and the side with the lower port is
// taken for the server, since clients get theirs from the upper ones; where both are the same, it
// is the side that got the first segment. That is decided after [maxWaitPackets] packets of the
// capture, in which SYN may come late. A connection that carries nothing is never opened.
//
// # Ends
//
// FIN ends a direction when all before it was handed on. RST ends both, [maxWaitPackets] packets of
// the capture later, since octets may come late; one whose sender goes on was forged. A FIN that is
// not in the capture is known by its acknowledgement, which covers one octet more than there is.
package tcpstream
