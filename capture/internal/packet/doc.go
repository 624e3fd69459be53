// Package packet reads packets from pcap and pcapng files, and makes TCP segments of them.
//
// Files are found by content, gzip around them too, and read as streams: memory does not grow with
// the file. What a packet says of itself is believed only as far as the packet goes; one that
// contradicts itself is counted and passed over. Checksums are not looked at, since captures made
// where the network card computes them have wrong ones.
//
// A Reader belongs to one goroutine. Its input ends with io.EOF: a reader that follows a growing
// file must block until there is more.
package packet
