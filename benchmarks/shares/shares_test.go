package main

import (
	"runtime"
	"testing"
	"time"
)

// The shares of streams on a slow connection are those of the scheduler, however the handlers
// write.
func TestShares(t *testing.T) {
	for _, tt := range []struct {
		setup
		procs int
	}{
		{setup: setup{Via: "server", Scheme: urgencies, How: "write", Piece: 32 << 10}},
		{setup: setup{Via: "server", Scheme: urgencies, How: "flush", Piece: 4 << 10, TLS: "tls"}},
		{setup: setup{Via: "server", Scheme: mixed, How: "copy", Piece: 32 << 10, Buffer: 64 << 10}},
		{setup: setup{Via: "server", Scheme: weights, How: "write", Piece: 512 << 10}},
		{setup: setup{Via: "server", Scheme: weights, How: "copy", Piece: 4 << 10, TLS: "tls", Buffer: 64 << 10}, procs: 1},
		{setup: setup{Via: "server", Scheme: auto, How: "write", Piece: 512 << 10, Buffer: 64 << 10}, procs: 8},
		{setup: setup{Via: "server", Scheme: equal, How: "write", Piece: 32 << 10, Finite: 2 << 20}},
		{setup: setup{Via: "conn", Scheme: strict, How: "write", Piece: 32 << 10}, procs: 1},
		{setup: setup{Via: "conn", Scheme: strict, How: "write", Piece: 4 << 10, Buffer: 64 << 10}, procs: 8},
		{setup: setup{Via: "conn", Scheme: weights, How: "write", Piece: 32 << 10, TLS: "crypto/tls"}},
		{setup: setup{Via: "conn", Scheme: deep, How: "write", Piece: 512 << 10, TLS: "tls", Buffer: 64 << 10}},
		{setup: setup{Via: "conn", Scheme: urgencies, How: "write", Piece: 32 << 10, Finite: 2 << 20}, procs: 2},
	} {
		s := tt.setup
		s.Rate, s.Skip, s.Count = 30e6, 3<<20, 8<<20
		if s.Finite > 0 {
			s.Skip, s.Count = 0, s.Finite*s.times()*len(s.Scheme.Streams)/2
		}
		t.Run(s.String(), func(t *testing.T) {
			if tt.procs > 0 {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(tt.procs))
			}
			want := s.expected()
			for attempt := 1; ; attempt++ {
				start := time.Now()
				got, _, err := s.measure()
				if err != nil {
					t.Fatal(err)
				}
				if furthest(got, want) <= 0.05 {
					return
				}
				t.Logf("after %v: shares are %s, want %s", time.Since(start).Round(time.Millisecond), percent(got), percent(want))
				if attempt == 5 {
					t.Fatal("five times the shares were not those that the scheduler decides on")
				}
				s.Rate /= 2 // a machine that lets a writer wait for 20 ms and more is not the connection's fault
			}
		})
	}
}

// What is expected comes from the schedulers; for the simple ones it is known.
func TestExpected(t *testing.T) {
	for _, tt := range []struct {
		s    scheme
		want []float64
	}{
		{urgencies, []float64{63. / 64, 1. / 128, 1. / 128}},
		{weights, []float64{16. / 128, 32. / 128, 80. / 128}},
		{equal, []float64{1. / 3, 1. / 3, 1. / 3}},
		{strict, []float64{1, 0, 0}},
	} {
		if got := (setup{Scheme: tt.s, Count: 1 << 30}).expected(); furthest(got, tt.want) > 0.001 {
			t.Errorf("%s: %s, want %s", tt.s.Name, percent(got), percent(tt.want))
		}
	}
}
