//go:build !race

package client

// raceEnabled tells that pools drop what they are given now and then.
const raceEnabled = false
