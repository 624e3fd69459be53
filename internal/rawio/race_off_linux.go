//go:build !race

package rawio

import "syscall"

func raceReceived(int, []byte)             {}
func raceSending()                         {}
func raceSent([]byte)                      {}
func raceSentVectors([]syscall.Iovec, int) {}
