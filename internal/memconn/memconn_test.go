package memconn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var (
	_ net.Conn     = (*Conn)(nil)
	_ net.Listener = (*Listener)(nil)
)

func TestBytesAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := Pipe(Options{})
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		got, err := io.ReadAll(s)
		if string(got) != "hello" || err != nil {
			t.Fatalf("peer reads %q, %v", got, err)
		}
		if _, err := s.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Fatalf("write to a closed peer: %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("read after Close: %v", err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("second Close: %v", err)
		}
	})
}

func TestHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := Pipe(Options{})
		_ = c.CloseWrite()
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatalf("read after CloseWrite: %v", err)
		}
		_, _ = s.Write([]byte("back"))
		buf := make([]byte, 8)
		if n, err := c.Read(buf); n != 4 || err != nil {
			t.Fatalf("other direction: %d, %v", n, err)
		}
		_, _ = c.Close(), s.Close()
	})
}

func TestFullBufferBlocksWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := Pipe(Options{Buffer: 10})
		sent := make(chan int)
		go func() {
			n, _ := c.Write(make([]byte, 25))
			sent <- n
		}()
		synctest.Wait()
		if got := c.Buffered(); got != 10 {
			t.Fatalf("buffered %d, want 10", got)
		}
		if n, err := io.ReadFull(s, make([]byte, 25)); n != 25 || err != nil {
			t.Fatal(n, err)
		}
		if n := <-sent; n != 25 {
			t.Fatalf("wrote %d", n)
		}
	})
}

func TestCloseWakesBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := Pipe(Options{Buffer: 1})
		errs := make(chan error, 2)
		go func() { _, err := c.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := c.Write(make([]byte, 2)); errs <- err }()
		synctest.Wait()
		_ = c.Close()
		for range 2 {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Errorf("waiting call got %v", err)
			}
		}
		_ = s.Close()
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := Pipe(Options{Buffer: 1})
		start := time.Now()
		_ = c.SetReadDeadline(start.Add(time.Second))
		_, err := c.Read(make([]byte, 1))
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Fatalf("read: %v", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Fatalf("read took %v", d)
		}
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := c.Write(make([]byte, 2)); n != 1 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("write: %d, %v", n, err)
		}
		// A later deadline makes the connection usable again; a moved one wakes a waiting call.
		_ = c.SetDeadline(time.Time{})
		go func() {
			time.Sleep(time.Second)
			_ = c.SetReadDeadline(time.Now().Add(-1))
		}()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read: %v", err)
		}
		_, _ = c.Close(), s.Close()
	})
}

func TestLatencyAndBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := Pipe(Options{Latency: 50 * time.Millisecond, Bandwidth: 1 << 20, Buffer: 4 << 20})
		start := time.Now()
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 0 {
			t.Fatalf("write into the buffer took %v", d)
		}
		_, _ = io.ReadFull(s, make([]byte, 16<<10))
		if d, want := time.Since(start), 50*time.Millisecond+time.Second/64; d != want {
			t.Fatalf("first segment after %v, want %v", d, want)
		}
		_, _ = io.ReadFull(s, make([]byte, 1<<20-16<<10))
		if d, want := time.Since(start), 1050*time.Millisecond; d != want {
			t.Fatalf("all after %v, want %v", d, want)
		}
		_, _ = c.Close(), s.Close()
	})
}

func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := Pipe(Options{})
		start := time.Now()
		_, _ = c.Write([]byte("a"))
		s.Stall(start.Add(time.Second))
		_, _ = c.Write([]byte("b"))
		_ = s.SetReadDeadline(start.Add(time.Millisecond))
		if _, err := s.Read(make([]byte, 2)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Read with a deadline: %v", err)
		}
		_ = s.SetReadDeadline(time.Time{})
		got := make([]byte, 3)
		n, err := s.Read(got)
		if string(got[:n]) != "ab" || err != nil || time.Since(start) != time.Second {
			t.Errorf("%q, %v after %v", got[:n], err, time.Since(start))
		}
		_, _ = c.Close(), s.Close()
	})
}

func TestEOFTravelsBehindData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := Pipe(Options{Latency: time.Second, MaxRead: 2})
		_, _ = c.Write([]byte("abc"))
		_ = c.CloseWrite()
		got, err := io.ReadAll(s)
		if !bytes.Equal(got, []byte("abc")) || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		if reads, _ := s.Calls(); reads != 3 {
			t.Errorf("%d reads, want 2 of data and 1 of EOF", reads)
		}
		_, _ = c.Close(), s.Close()
	})
}

func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen(Options{})
		done := make(chan error)
		go func() {
			c, err := l.Accept()
			if err == nil {
				_, err = io.Copy(c, c)
				_ = c.Close()
			}
			done <- err
		}()
		c, err := l.Dial(context.Background(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte("echo"))
		_ = c.(*Conn).CloseWrite()
		if got, _ := io.ReadAll(c); string(got) != "echo" {
			t.Fatalf("%q", got)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		waiting, _ := l.Dial(context.Background(), "", "")
		go func() { _, err := l.Accept(); done <- err }()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("Accept after Close: %v", err)
		}
		if _, err := l.Dial(context.Background(), "", ""); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("Dial after Close: %v", err)
		}
		_, _ = c.Close(), waiting.Close()
	})
}
