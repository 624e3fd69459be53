//go:build !linux

package main

import "errors"

func usage() (snapshot, error) {
	return snapshot{}, errors.New("the CPU time of a process is only known on Linux here")
}
