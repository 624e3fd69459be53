package flow

import "testing"

// One DATA frame of 16 KiB through all four windows, with the WINDOW_UPDATEs.
func BenchmarkDataFrame(b *testing.B) {
	b.ReportAllocs()
	var sendConn, sendStream SendWindow
	sendConn.Add(1 << 20)
	sendStream.Add(1 << 18)
	recvConn, recvStream := NewRecvWindow(1<<20), NewRecvWindow(1<<18)
	for b.Loop() {
		sendConn.Take(1 << 14)
		sendStream.Take(1 << 14)
		recvConn.Receive(1 << 14)
		recvStream.Receive(1 << 14)
		sendStream.Add(recvStream.Release(1 << 14))
		sendConn.Add(recvConn.ReleaseShared(1 << 14))
	}
}
