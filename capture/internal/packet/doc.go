// Package packet reads packets from pcap and pcapng files, and makes TCP segments of them.
package packet
