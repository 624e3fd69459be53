package baseline

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
	"github.com/sluice-go/sluice/frame"
)

// A server answers on connections, each in its own thread if the Spec has but one, all in the same
// otherwise.
type server struct {
	spec     peerserver.Spec
	cfg      *tls.Config // nil for h2c
	settings []byte      // of the first flight
	answer   message

	epoll int
	mu    sync.Mutex
	conns []*conn // by descriptor
}

// A conn is a connection of a server.
type conn struct {
	*socket
	frames
	rw    io.ReadWriter // the socket, or TLS on it
	begun bool          // the first flight was sent
}

// NewServer returns the baseline of servers.
func NewServer(spec peerserver.Spec) (peerserver.Server, error) {
	// Threads that wait in a system call keep their P, so there must be more Ps than these.
	runtime.GOMAXPROCS(4)
	s := &server{spec: spec, answer: newResponse()}
	s.settings = frame.AppendSettings(
		nil,
		frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: uint32(spec.MaxStreams)},
	)
	var err error
	if s.cfg, err = spec.TLS(); err != nil {
		return peerserver.Server{}, err
	}
	if s.cfg != nil {
		s.cfg.NextProtos = []string{"h2"}
	}
	if s.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return peerserver.Server{}, err
	}
	var l net.Listener
	return peerserver.Server{
		What:  "not a server: what the system calls alone cost, " + runtime.Version(),
		Serve: func(on net.Listener) error { l = on; return s.serve(on) },
		Close: func() error { return l.Close() }, // the process ends with it
	}, nil
}

func (s *server) serve(l net.Listener) error {
	if s.spec.Conns > 1 {
		go s.serveMany() // ends with the process
	}
	for {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		c := &conn{frames: frames{skip: len(frame.Preface)}}
		if c.socket, err = newSocket(nc); err != nil {
			return err
		}
		c.rw = c.socket
		switch {
		case s.spec.Conns > 1:
			err = s.add(c)
		case s.cfg != nil:
			c.rw = tls.Server(c.socket, s.cfg)
			fallthrough
		default:
			go s.serveOne(c) // ends with the connection
		}
		if err != nil {
			return err
		}
	}
}

// serveOne serves a connection by reads that wait.
func (s *server) serveOne(c *conn) {
	runtime.LockOSThread()
	for t := newThread(s); t.turn(c) == nil; {
	}
	c.Close()
}

// add has the thread of serveMany serve a connection, too.
func (s *server) add(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.conns) <= c.fd {
		s.conns = append(s.conns, nil)
	}
	s.conns[c.fd] = c
	return syscall.EpollCtl(
		s.epoll,
		syscall.EPOLL_CTL_ADD,
		c.fd,
		&syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.fd)},
	)
}

func (s *server) serveMany() {
	runtime.LockOSThread()
	t := newThread(s)
	events := make([]syscall.EpollEvent, 256)
	ready := make([]*conn, 0, len(events))
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(s.epoll), uintptr(unsafe.Pointer(&events[0])),
			uintptr(len(events)), ^uintptr(0), 0, 0)
		if errno != 0 {
			continue // EINTR, the only error that epoll_wait has here
		}
		ready = ready[:0]
		s.mu.Lock()
		for _, e := range events[:n] {
			ready = append(ready, s.conns[e.Fd])
		}
		s.mu.Unlock()
		for _, c := range ready {
			if t.turn(c) != nil {
				c.Close() // which removes it from epoll
			}
		}
	}
}

// A thread has the memory that all its connections need one after another.
type thread struct {
	s       *server
	in, out []byte
	handle  func(frame.Header, []byte)
}

func newThread(s *server) *thread {
	t := &thread{s: s, in: make([]byte, 64<<10), out: make([]byte, 0, 256<<10)}
	t.handle = t.frame
	return t
}

// turn reads once and answers all frames that came with one write.
func (t *thread) turn(c *conn) error {
	t.out = t.out[:0]
	if !c.begun {
		c.begun = true
		t.out = append(t.out, t.s.settings...)
	}
	if err := c.read(c.rw, t.in, t.handle); err != nil {
		return err
	}
	if len(t.out) == 0 {
		return nil
	}
	_, err := c.rw.Write(t.out)
	return err
}

func (t *thread) frame(h frame.Header, payload []byte) {
	if h.Type == frame.TypeHeaders {
		t.out = t.s.answer.appendTo(t.out, h.StreamID)
	} else {
		t.out = appendReply(t.out, h, payload)
	}
}
