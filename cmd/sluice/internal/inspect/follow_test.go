package inspect

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// With --follow the end of the file is not the end; what has come so far is shown.
func TestFollow(t *testing.T) {
	file := recorded(t)
	synctest.Test(t, func(t *testing.T) {
		name := written(t, nil)
		var out bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- Run(ctx, Options{
				Files: []string{name}, Out: &out, Err: io.Discard, Follow: true, Getenv: func(string) string { return "" },
			})
		}()
		const parts = 4
		for i := range parts {
			appendTo(t, name, file[len(file)*i/parts:len(file)*(i+1)/parts])
			time.Sleep(time.Second)
			synctest.Wait()
			if i == 1 && !strings.Contains(out.String(), "SETTINGS") {
				t.Errorf("after half of the file, the output is:\n%s", &out)
			}
		}
		if strings.Contains(out.String(), "3 requests: 2 2xx") {
			t.Errorf("the end is shown before it is there:\n%s", &out)
		}
		cancel()
		if err := <-done; err != nil || !strings.Contains(out.String(), "3 requests: 2 2xx") {
			t.Errorf("error %v, output:\n%s", err, &out)
		}
	})
}

// Keys that are logged while a capture is read are used.
func TestFollowKeys(t *testing.T) {
	var keys bytes.Buffer
	file := recordedWith(t, &keys)
	synctest.Test(t, func(t *testing.T) {
		name := written(t, file[:len(file)/2])
		log := filepath.Join(t.TempDir(), "keys")
		var out bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- Run(ctx, Options{
				Files: []string{name}, Out: &out, Err: io.Discard, Follow: true,
				Getenv: func(v string) string { return map[string]string{"SSLKEYLOGFILE": log}[v] },
			})
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		if strings.Contains(out.String(), "HEADERS") {
			t.Errorf("without keys, there are frames:\n%s", &out)
		}
		// A line comes in two pieces.
		part := keys.Len() - 10
		for _, piece := range []string{keys.String()[:part], keys.String()[part:]} {
			appendTo(t, log, []byte(piece))
			time.Sleep(time.Second)
		}
		appendTo(t, name, file[len(file)/2:])
		time.Sleep(time.Second)
		synctest.Wait()
		if !strings.Contains(out.String(), "/one?token") {
			t.Errorf("with keys, the output is:\n%s", &out)
		}
		cancel()
		if err := <-done; err != nil || !strings.Contains(out.String(), "3 requests: 2 2xx") {
			t.Errorf("error %v, output:\n%s", err, &out)
		}
	})
}

// appendTo appends to a file.
func appendTo(t *testing.T, name string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
}
