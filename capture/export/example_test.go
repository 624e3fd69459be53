package export_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/capture/export"
)

// One reading of a capture makes a HAR and a trace for ui.perfetto.dev.
func Example() {
	var archive, trace bytes.Buffer // files, elsewhere
	har := export.NewHAR(&archive, export.HAROptions{Title: "example"})
	perfetto := export.NewPerfetto(&trace, export.PerfettoOptions{})
	both := func(e capture.Event) {
		har.Handle(e)
		perfetto.Handle(e)
	}
	if _, err := capture.ReadFile("../../cmd/sluice/testdata/example.pcapng", capture.Options{}, both); err != nil {
		log.Fatal(err)
	}
	if err := har.Close(); err != nil {
		log.Fatal(err)
	}
	if err := perfetto.Close(); err != nil {
		log.Fatal(err)
	}

	var read struct {
		Log struct {
			Entries []struct {
				Request struct {
					URL string `json:"url"`
				} `json:"request"`
				Timings struct {
					Window float64 `json:"_blocked_stream_window"`
				} `json:"timings"`
			} `json:"entries"`
		} `json:"log"`
	}
	if err := json.Unmarshal(archive.Bytes(), &read); err != nil {
		log.Fatal(err)
	}
	for _, e := range read.Log.Entries {
		fmt.Printf("%s waited %.0f ms for its window\n", e.Request.URL, e.Timings.Window)
	}
	fmt.Println(json.Valid(trace.Bytes()))
	// Output:
	// https://www.example.com/ waited 0 ms for its window
	// https://www.example.com/download waited 126 ms for its window
	// https://www.example.com/favicon.ico waited 0 ms for its window
	// true
}
