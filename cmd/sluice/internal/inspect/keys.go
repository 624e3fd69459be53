package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxKeyLog bounds the octets of a key log.
const maxKeyLog = 64 << 20

// A keyLog is the file of a key log, which may grow while a capture is read.
type keyLog struct {
	name  string // "" for none
	f     *os.File
	due   bool   // to be looked at
	part  []byte // of the last line
	total int    // octets
}

// keyLogName is the name of the key log; "" is none.
func (o *Options) keyLogName() string {
	if o.KeyLog != "" {
		return o.KeyLog
	}
	return o.Getenv("SSLKEYLOGFILE")
}

// openKeyLog opens the key log, and says where it comes from if the user has not named it. One that
// the environment names need not be there yet.
func (o *Options) openKeyLog() (*keyLog, error) {
	k := &keyLog{name: o.keyLogName(), due: true}
	if k.name == "" {
		return k, nil
	}
	if o.KeyLog == "" {
		fmt.Fprintf(o.Err, "sluice inspect: keys are taken from %s, which SSLKEYLOGFILE names\n", k.name)
	}
	err := k.open()
	if o.KeyLog == "" && errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return k, err
}

// open opens the file, which must be no directory.
func (k *keyLog) open() (err error) {
	k.f, err = os.Open(k.name) //nolint:gosec // the user names it
	return err
}

// advice says where keys come from, for a capture that there are none for.
func (k *keyLog) advice() string {
	if k.name == "" {
		return "a program that has SSLKEYLOGFILE=keys.log in its environment writes its keys there, for --keylog keys.log"
	}
	return k.name + " has no keys: those of a key log are lines that begin with a word such as CLIENT_RANDOM"
}

// close closes the file.
func (k *keyLog) close() {
	if k.f != nil {
		k.f.Close()
	}
}

// all returns what the key log has now.
func (k *keyLog) all() ([]byte, error) {
	if k.f == nil {
		return nil, nil
	}
	b, err := io.ReadAll(io.LimitReader(k.f, maxKeyLog+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxKeyLog {
		return nil, fmt.Errorf("%s has more than %d MiB: too long for a key log", k.name, maxKeyLog>>20)
	}
	k.total = len(b)
	if i := bytes.LastIndexByte(b, '\n'); i+1 < len(b) {
		k.part = bytes.Clone(b[i+1:]) // it is used as it is, and again when it is whole
	}
	return b, nil
}

// more returns the lines that have come since; nil is none. It looks at the file where look was
// called before. A key log that has ended to be readable has no more lines.
func (k *keyLog) more() []byte {
	if !k.due || k.name == "" {
		return nil
	}
	k.due = false
	if k.f == nil && k.open() != nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(k.f, int64(maxKeyLog-k.total)))
	k.total += len(b)
	if err != nil || len(b) == 0 {
		return nil
	}
	lines := append(k.part, b...)
	i := bytes.LastIndexByte(lines, '\n')
	k.part = bytes.Clone(lines[i+1:])
	return lines[:i+1]
}

// look has the file looked at before the next packet.
func (k *keyLog) look() { k.due = true }
