package idlepoll

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-go/sluice/internal/socket"
)

// watch is one instance of epoll and who sleeps.
type watch struct {
	file     *os.File
	raw      syscall.RawConn // of file
	sleepers map[Vigil]Sleeper
}

var (
	mu      sync.Mutex // guards all below, and sleepers
	present *watch     // nil while nobody sleeps
	last    Vigil
)

func newWatch() (*watch, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// Only a descriptor that does not block is handed to the runtime's poller.
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &watch{file: os.NewFile(uintptr(fd), "epoll"), sleepers: make(map[Vigil]Sleeper)}
	if w.raw, err = w.file.SyscallConn(); err == nil {
		err = w.file.SetReadDeadline(time.Time{}) // fails where waiting would block a thread
	}
	if err != nil {
		_ = w.file.Close()
		return nil, err
	}
	go w.run() // ends when nobody sleeps
	return w, nil
}

func begin(s Sleeper) (Vigil, error) {
	if socket.InBubble() {
		return 0, errBubble
	}
	mu.Lock()
	defer mu.Unlock()
	if present == nil {
		w, err := newWatch()
		if err != nil {
			return 0, err
		}
		present = w
	}
	last++
	present.sleepers[last] = s
	return last, nil
}

// watch returns where v is kept, nil if it is over.
func (v Vigil) watch() *watch {
	mu.Lock()
	defer mu.Unlock()
	if present == nil || present.sleepers[v] == nil {
		return nil
	}
	return present
}

func (v Vigil) arm(s *socket.Socket) error {
	w := v.watch()
	if w == nil {
		return errOver
	}
	return w.control(s, syscall.EPOLL_CTL_ADD, &syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     int32(v), Pad: int32(v >> 32), // together the word that epoll gives back
	})
}

func (v Vigil) leave(s *socket.Socket) {
	mu.Lock()
	w := present
	mu.Unlock()
	if w != nil { // or else the instance is closed, or soon will be
		_ = w.control(s, syscall.EPOLL_CTL_DEL, &syscall.EpollEvent{}) // fails where there is nothing to be taken out
	}
}

func (w *watch) control(s *socket.Socket, op int, e *syscall.EpollEvent) error {
	var failed error
	err := w.raw.Control(func(epfd uintptr) {
		err := s.Control(func(fd uintptr) { failed = syscall.EpollCtl(int(epfd), op, int(fd), e) })
		if err != nil {
			failed = err
		}
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("epoll_ctl", failed)
}

func (v Vigil) end() {
	mu.Lock()
	w := present
	over := w != nil && w.remove(v) != nil && w.closeIfEmpty()
	mu.Unlock()
	if over {
		_ = w.file.Close() // wakes run
	}
}

// remove takes v out of the map and returns its sleeper, nil if it is not there. It is called with
// mu held.
func (w *watch) remove(v Vigil) Sleeper {
	s := w.sleepers[v]
	delete(w.sleepers, v)
	return s
}

// closeIfEmpty tells whether the file is to be closed by the caller, once it has released mu.
func (w *watch) closeIfEmpty() bool {
	if len(w.sleepers) > 0 {
		return false
	}
	present = nil
	return true
}

// Times between two sweeps: sweepEach for each sleeper, so that they cost about a thousandth of a
// processor however many sleep.
const (
	sweepLeast = time.Second
	sweepMost  = 5 * time.Second
	sweepEach  = 50 * time.Microsecond
)

// run wakes sleepers until there are none.
func (w *watch) run() {
	var events [64]syscall.EpollEvent
	var next time.Time // when to sweep
	for {
		now := time.Now()
		var over bool
		if !next.After(now) {
			var pause time.Duration
			over, pause = w.sweep()
			next = now.Add(pause)
			_ = w.file.SetReadDeadline(next) // fails once the file is closed
		}
		if !over {
			n, err := w.wait(events[:])
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return // closed, as nobody sleeps
			}
			over = w.wake(events[:max(n, 0)])
		}
		if over {
			_ = w.file.Close()
			return
		}
	}
}

// sweep wakes sleepers whose sockets are closed, of which the kernel says nothing. It returns
// whether nobody is left, so that the caller closes the file, and when to come again.
func (w *watch) sweep() (over bool, pause time.Duration) {
	mu.Lock()
	defer mu.Unlock()
	woken := false
	for v, s := range w.sleepers {
		if s.Closed() {
			delete(w.sleepers, v)
			woken = true
			go s.Wake(v)
		}
	}
	pause = min(max(sweepLeast, time.Duration(len(w.sleepers))*sweepEach), sweepMost)
	return woken && w.closeIfEmpty(), pause
}

// wait waits for events.
func (w *watch) wait(events []syscall.EpollEvent) (n int, err error) {
	var failed error
	err = w.raw.Read(func(epfd uintptr) bool {
		for {
			n, failed = syscall.EpollWait(int(epfd), events, 0)
			if !errors.Is(failed, syscall.EINTR) {
				return n > 0 || failed != nil
			}
		}
	})
	if err == nil {
		err = failed
	}
	return n, err
}

// wake wakes who sleeps for the events, and tells whether nobody is left, so that the caller closes
// the file.
func (w *watch) wake(events []syscall.EpollEvent) (over bool) {
	mu.Lock()
	defer mu.Unlock()
	woken := false
	for _, e := range events {
		v := Vigil(uint32(e.Fd)) | Vigil(uint32(e.Pad))<<32
		if s := w.remove(v); s != nil {
			woken = true
			go s.Wake(v)
		}
	}
	return woken && w.closeIfEmpty()
}
