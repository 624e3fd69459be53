package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

func main() {
	run := flag.String("run", "", "`regexp` of the setups that are measured; -list prints them")
	list := flag.Bool("list", false, "print the setups and exit")
	rate := flag.Float64("rate", 14, "millions of octets that the reader takes in a second")
	mib := flag.Int("mib", 24, "MiB of DATA that are counted")
	skip := flag.Int("skip", 4, "MiB of DATA before them")
	procs := flag.Int("procs", 0, "GOMAXPROCS; 0: as it is")
	flag.Parse()
	if *procs > 0 {
		runtime.GOMAXPROCS(*procs)
	}
	wanted, err := regexp.Compile(*run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "shares: -run:", err)
		os.Exit(2)
	}
	worst := 0.0
	for _, s := range setups() {
		if !wanted.MatchString(s.String()) {
			continue
		}
		if *list {
			fmt.Println(s)
			continue
		}
		s.Rate, s.Skip, s.Count = int(*rate*1e6), *skip<<20, *mib<<20
		if s.Finite > 0 { // one half of all
			s.Skip, s.Count = 0, s.Finite*s.times()*len(s.Scheme.Streams)/2
		}
		got, speed, err := s.measure()
		if err != nil {
			fmt.Fprintf(os.Stderr, "shares: %v: %v\n", s, err)
			os.Exit(1)
		}
		want := s.expected()
		off := furthest(got, want)
		if s.Via != "nethttp" {
			worst = max(worst, off)
		}
		fmt.Printf("%-52s want %s  got %s  off by %.3f  %5.1f MB/s\n", s, percent(want), percent(got), off, speed/1e6)
	}
	if !*list {
		fmt.Printf("the furthest of ours is off by %.3f\n", worst)
	}
}

// setups are the setups that are measured.
func setups() (all []setup) {
	add := func(s setup, tls ...string) {
		for _, s.TLS = range tls {
			for _, s.Buffer = range []int{0, 64 << 10} {
				all = append(all, s)
			}
		}
	}
	for _, sch := range schemes {
		for _, s := range []setup{
			{How: "write", Piece: 4 << 10},
			{How: "write", Piece: 32 << 10},
			{How: "write", Piece: 512 << 10},
			{How: "flush", Piece: 4 << 10},
			{How: "flush", Piece: 32 << 10},
			{How: "copy", Piece: 32 << 10},
			{How: "write", Piece: 32 << 10, Finite: 2 << 20},
		} {
			s.Scheme = sch
			if s.Finite > 0 && sch.Name == deep.Name {
				continue // it is about which stream depends on which
			}
			s.Via = "server"
			add(s, "", "tls")
			if s.How != "copy" {
				s.Via = "conn"
				add(s, "", "tls", "crypto/tls")
			}
		}
	}
	for _, sch := range []scheme{urgencies, weights} {
		add(setup{Via: "nethttp", Scheme: sch, How: "write", Piece: 32 << 10}, "", "tls")
	}
	return all
}

// furthest is the largest difference.
func furthest(got, want []float64) (off float64) {
	for i := range got {
		off = max(off, got[i]-want[i], want[i]-got[i])
	}
	return off
}

func percent(shares []float64) string {
	texts := slices.Collect(func(yield func(string) bool) {
		for _, s := range shares {
			if !yield(fmt.Sprintf("%5.1f", 100*s)) {
				return
			}
		}
	})
	return strings.Join(texts, " ")
}
