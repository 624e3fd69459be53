package tunnel

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/bcrypt"
)

// Bounds of files of users.
const (
	maxUsers      = 100_000
	maxUserLine   = 4 << 10
	maxBcryptCost = 14 // a second of CPU, which every wrong password costs
)

// maxVerified bounds the credentials that a BasicFile remembers as right.
const maxVerified = 4096

// BasicFile is an Authenticator of the Basic scheme (RFC 7617) with users from a file of htpasswd,
// which has lines such as "anna:$2y$10$...". Its hashes are of bcrypt, as "htpasswd -B" writes
// them; any other kind is an error. The file is also read again while a Proxy uses it. Before the
// first Load nobody is let in.
//
// A hash costs some 50 ms of CPU. Credentials that were right are remembered until the next Load,
// as an HMAC with a random key, so that the requests of one user do not cost that each. At most
// half of the processors compute hashes, so that wrong passwords slow down no tunnels.
type BasicFile struct {
	Path  string
	Realm string // shown to people; default "sluice"

	users  atomic.Pointer[basicUsers]
	once   sync.Once
	hashes chan struct{} // has a value for each hash that is being computed
}

// basicUsers is what one Load has read.
type basicUsers struct {
	hashes map[string][]byte
	dummy  []byte // takes as long as the slowest hash of the file
	key    [32]byte

	mu       sync.Mutex // guards verified
	verified map[[sha256.Size]byte]struct{}
}

// Load reads the file. With an error, which names the file and the line, the users stay as they
// were. Users and passwords that are no longer in the file are refused from then on; their open
// tunnels go on.
func (f *BasicFile) Load() error {
	file, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // which was only read
	users, err := parseBasicFile(file, f.Path)
	if err != nil {
		return err
	}
	f.users.Store(users)
	return nil
}

// Authenticate returns the user of the Proxy-Authorization field.
func (f *BasicFile) Authenticate(r *http.Request) (string, *Refusal) {
	return (&basic{realmOr(f.Realm), f.check}).Authenticate(r)
}

func realmOr(realm string) string {
	if realm == "" {
		return "sluice"
	}
	return realm
}

func (f *BasicFile) check(ctx context.Context, user, password string) bool {
	users := f.users.Load()
	if users == nil {
		return false
	}
	id := users.identify(user, password)
	if users.isVerified(id) {
		return true
	}
	f.once.Do(func() { f.hashes = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)) })
	select {
	case f.hashes <- struct{}{}:
		defer func() { <-f.hashes }()
	case <-ctx.Done():
		return false
	}
	if users.isVerified(id) { // by another request of this user, while this one waited
		return true
	}
	hash, known := users.hashes[user]
	if !known {
		hash = users.dummy
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !known {
		return false
	}
	users.setVerified(id)
	return true
}

// identify returns what credentials are remembered by.
func (u *basicUsers) identify(user, password string) (id [sha256.Size]byte) {
	mac := hmac.New(sha256.New, u.key[:])
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(user)))
	mac.Write(length[:])
	mac.Write([]byte(user))
	mac.Write([]byte(password))
	mac.Sum(id[:0])
	return id
}

func (u *basicUsers) isVerified(id [sha256.Size]byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.verified[id]
	return ok
}

func (u *basicUsers) setVerified(id [sha256.Size]byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for old := range u.verified {
		if len(u.verified) < maxVerified {
			break
		}
		delete(u.verified, old) // any will do: it costs its user one hash
	}
	u.verified[id] = struct{}{}
}

func parseBasicFile(r io.Reader, name string) (*basicUsers, error) {
	users := &basicUsers{hashes: make(map[string][]byte), verified: make(map[[sha256.Size]byte]struct{})}
	rand.Read(users.key[:])
	slowest := bcrypt.MinCost
	err := scanLines(r, name, func(line string) error {
		user, hash, ok := strings.Cut(line, ":")
		if !ok || user == "" || !plainText(user) {
			return errors.New("a line is a user, a colon and a hash of bcrypt")
		}
		if users.hashes[user] != nil {
			return fmt.Errorf("the user %s is there twice", shortQuote(user))
		}
		cost, err := bcryptCost(hash)
		if err != nil {
			return fmt.Errorf("the user %s: %w", shortQuote(user), err)
		}
		slowest = max(slowest, cost)
		users.hashes[user] = []byte(hash)
		if len(users.hashes) > maxUsers {
			return fmt.Errorf("more than %d users", maxUsers)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	users.dummy, err = bcrypt.GenerateFromPassword([]byte(rand.Text()), slowest)
	return users, err
}

// bcryptCost returns the cost of a hash, or what is wrong with it. It does not print the hash.
func bcryptCost(hash string) (int, error) {
	if !strings.HasPrefix(hash, "$2") {
		return 0, errors.New("the password is not a hash of bcrypt, which htpasswd writes with -B")
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil || len(hash) != 60 {
		return 0, errors.New("the hash of bcrypt is damaged")
	}
	if cost > maxBcryptCost {
		return 0, fmt.Errorf("the cost of the hash is %d, above %d, which takes seconds", cost, maxBcryptCost)
	}
	return cost, nil
}

// scanLines calls each for the lines of a file of users that have something. The error has the name
// and the number of the line.
func scanLines(r io.Reader, name string, each func(line string) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 4096), maxUserLine)
	number := 0
	for sc.Scan() {
		number++
		line := strings.TrimSpace(strings.TrimPrefix(sc.Text(), "\ufeff"))
		if line == "" || line[0] == '#' {
			continue
		}
		if err := each(line); err != nil {
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	err := sc.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("the line has more than %d octets", maxUserLine)
	}
	if err != nil {
		return fmt.Errorf("%s:%d: %w", name, number+1, err)
	}
	return nil
}
