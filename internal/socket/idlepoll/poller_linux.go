package idlepoll

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-go/sluice/internal/socket"
)

// poller is one instance of epoll. Its map of waiters is guarded by mu, its other fields never
// change.
type poller struct {
	file    *os.File
	raw     syscall.RawConn // of file
	waiters map[Watch]Waiter
}

var (
	mu        sync.Mutex // guards the variables below, and the waiters of a poller
	current   *poller    // nil while there is no Watch
	lastWatch Watch      // what newWatch has returned last
)

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// os.NewFile gives a descriptor to the runtime's poller only if it does not block.
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll"), waiters: make(map[Watch]Waiter)}
	if p.raw, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // fails if the runtime's poller has refused the descriptor
	}
	if err != nil {
		_ = p.file.Close()
		return nil, err
	}
	go p.run() // ends when there is no Watch left
	return p, nil
}

func newWatch(w Waiter) (Watch, error) {
	if socket.InBubble() {
		return 0, errBubble
	}
	mu.Lock()
	defer mu.Unlock()
	if current == nil {
		p, err := newPoller()
		if err != nil {
			return 0, err
		}
		current = p
	}
	lastWatch++
	current.waiters[lastWatch] = w
	return lastWatch, nil
}

// poller returns the poller that has id in its map, nil if there is none.
func (id Watch) poller() *poller {
	mu.Lock()
	defer mu.Unlock()
	if current == nil || current.waiters[id] == nil {
		return nil
	}
	return current
}

func (id Watch) arm(s *socket.Socket) error {
	p := id.poller()
	if p == nil {
		return errEnded
	}
	return p.control(s, syscall.EPOLL_CTL_ADD, &syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     int32(id), Pad: int32(id >> 32), // the two halves of epoll_data, which the event returns
	})
}

func (id Watch) remove(s *socket.Socket) {
	mu.Lock()
	p := current
	mu.Unlock()
	if p != nil { // without an instance there is no registration
		_ = p.control(s, syscall.EPOLL_CTL_DEL, &syscall.EpollEvent{}) // fails if there is no registration
	}
}

func (p *poller) control(s *socket.Socket, op int, e *syscall.EpollEvent) error {
	var ctlErr error
	err := p.raw.Control(func(epfd uintptr) {
		err := s.Control(func(fd uintptr) { ctlErr = syscall.EpollCtl(int(epfd), op, int(fd), e) })
		if err != nil {
			ctlErr = err
		}
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("epoll_ctl", ctlErr)
}

func (id Watch) cancel() {
	mu.Lock()
	p := current
	empty := p != nil && p.takeLocked(id) != nil && p.retireIfEmptyLocked()
	mu.Unlock()
	if empty {
		_ = p.file.Close() // run returns
	}
}

// takeLocked takes id out of the map and returns its Waiter, nil if it is not in the map.
func (p *poller) takeLocked(id Watch) Waiter {
	w := p.waiters[id]
	delete(p.waiters, id)
	return w
}

// retireIfEmptyLocked makes room for another poller if p has no Watch left, and reports whether it
// has. The caller then closes p.file, after it has released mu.
func (p *poller) retireIfEmptyLocked() bool {
	if len(p.waiters) > 0 {
		return false
	}
	current = nil
	return true
}

// The interval between two sweeps: sweepPerWaiter for each Waiter, within these limits, so that
// sweeps cost about a thousandth of a processor however many sockets are watched.
const (
	minSweepInterval = time.Second
	maxSweepInterval = 5 * time.Second
	sweepPerWaiter   = 50 * time.Microsecond
)

// run wakes waiters until there is no Watch left.
func (p *poller) run() {
	var events [64]syscall.EpollEvent
	var nextSweep time.Time
	for {
		now := time.Now()
		var empty bool
		if !nextSweep.After(now) {
			var interval time.Duration
			empty, interval = p.sweep()
			nextSweep = now.Add(interval)
			_ = p.file.SetReadDeadline(nextSweep) // fails once the file is closed
		}
		if !empty {
			n, err := p.wait(events[:])
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return // cancel has closed the file
			}
			empty = p.wake(events[:max(n, 0)])
		}
		if empty {
			_ = p.file.Close()
			return
		}
	}
}

// sweep wakes the waiters whose sockets were closed on our side. It reports whether that has left p
// without a Watch, so that the caller must close p.file, and after which time the next sweep is
// due.
func (p *poller) sweep() (empty bool, interval time.Duration) {
	mu.Lock()
	defer mu.Unlock()
	woken := false
	for id, w := range p.waiters {
		if w.Closed() {
			delete(p.waiters, id)
			woken = true
			go w.Wake(id)
		}
	}
	interval = min(max(minSweepInterval, time.Duration(len(p.waiters))*sweepPerWaiter), maxSweepInterval)
	return woken && p.retireIfEmptyLocked(), interval
}

// wait waits for events, or for the read deadline of p.file.
func (p *poller) wait(events []syscall.EpollEvent) (n int, err error) {
	var waitErr error
	err = p.raw.Read(func(epfd uintptr) bool {
		for {
			n, waitErr = syscall.EpollWait(int(epfd), events, 0)
			if !errors.Is(waitErr, syscall.EINTR) {
				return n > 0 || waitErr != nil
			}
		}
	})
	if err == nil {
		err = waitErr
	}
	return n, err
}

// wake wakes the waiters that the events are for, and reports whether that has left p without a
// Watch, so that the caller must close p.file.
func (p *poller) wake(events []syscall.EpollEvent) (empty bool) {
	mu.Lock()
	defer mu.Unlock()
	woken := false
	for _, e := range events {
		id := Watch(uint32(e.Fd)) | Watch(uint32(e.Pad))<<32
		if w := p.takeLocked(id); w != nil {
			woken = true
			go w.Wake(id)
		}
	}
	return woken && p.retireIfEmptyLocked()
}
