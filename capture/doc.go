// Package capture shows what HTTP/2 connections carry: every frame with its fields, what each
// stream waited for, and what breaks RFC 9113.
//
// One model of events serves all sources. [Read] makes events from a packet capture, pcap or
// pcapng, with a key log where it is encrypted; a [Live] makes them from the connections of a
// server, a client or a proxy of this module while they run. An [Event] is a [Connection], a
// [Frame], a [Request], a [Stall], a [Finding], a [Gap] or the [End] of a connection.
//
// HTTP/2 is found, not told: by its preface, ALPN, an Upgrade, or by what looks like frames in both
// directions, on any port and inside CONNECT.
//
// The other way, a [PcapWriter] records the connections of a program as a capture, with the keys of
// their TLS.
//
// Values that let their reader in, such as those of authorization and cookie, are hidden unless
// Options.ShowSecrets is set.
package capture
