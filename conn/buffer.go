package conn

import "sync"

// buffer is memory for octets that is given back when it is empty, so that an idle connection holds
// none. The pools have pointers to buffers.
type buffer = []byte

const (
	outStart        = 4 << 10   // a few small responses
	maxPooled       = 1 << 20   // a buffer that one large burst made larger is left to the collector
	readSize        = 64 << 10  // what one read of the socket takes
	bulkReadSize    = 256 << 10 // the same where a large body comes in quickly
	waitReadSize    = 4 << 10   // what a read begins with that holds a buffer while it waits
	fillLimit       = 256 << 10 // what one write of the socket gets, without borrowed memory
	outputHighWater = 512 << 10 // output beyond which nothing more is read from the peer
	maxCallerWrites = 16        // writes after which a caller of Flush hands over to a goroutine
)

var outPool = sync.Pool{New: func() any { b := make(buffer, 0, outStart); return &b }}

var (
	readPool     = sync.Pool{New: func() any { b := make(buffer, readSize); return &b }}
	bulkReadPool = sync.Pool{New: func() any { b := make(buffer, bulkReadSize); return &b }}
	waitReadPool = sync.Pool{New: func() any { b := make(buffer, waitReadSize); return &b }}
)

// putRead gives a buffer for input back, unless it was made for one large frame.
func putRead(b *buffer) {
	switch len(*b) {
	case readSize:
		readPool.Put(b)
	case bulkReadSize:
		bulkReadPool.Put(b)
	case waitReadSize:
		waitReadPool.Put(b)
	}
}

func putOut(b *buffer, used []byte) {
	if cap(used) <= maxPooled {
		*b = used[:0]
		outPool.Put(b)
	}
}

// Chunks hold the DATA that waits for its reader, in three sizes, so that a stream that sends
// little costs little.
const (
	chunkSmall = 1 << 10
	chunkMid   = 16 << 10
	chunkLarge = 64 << 10
)

var (
	smallChunks = sync.Pool{New: func() any { return new([chunkSmall]byte) }}
	midChunks   = sync.Pool{New: func() any { return new([chunkMid]byte) }}
	largeChunks = sync.Pool{New: func() any { return new([chunkLarge]byte) }}
)

// newChunk returns an empty chunk for n octets, or for the beginning of them.
func newChunk(n int) []byte {
	switch {
	case n <= chunkSmall:
		return smallChunks.Get().(*[chunkSmall]byte)[:0]
	case n <= chunkMid:
		return midChunks.Get().(*[chunkMid]byte)[:0]
	default:
		return largeChunks.Get().(*[chunkLarge]byte)[:0]
	}
}

func freeChunk(b []byte) {
	switch cap(b) {
	case chunkSmall:
		smallChunks.Put((*[chunkSmall]byte)(b[:chunkSmall]))
	case chunkMid:
		midChunks.Put((*[chunkMid]byte)(b[:chunkMid]))
	case chunkLarge:
		largeChunks.Put((*[chunkLarge]byte)(b[:chunkLarge]))
	}
}

// body is DATA that has arrived and was not read: a queue of chunks.
type body struct {
	chunks [][]byte // all but the last are full
	off    int      // octets read of the first
	size   int
}

func (q *body) append(p []byte) {
	q.size += len(p)
	for len(p) > 0 {
		if n := len(q.chunks); n > 0 && len(q.chunks[n-1]) < cap(q.chunks[n-1]) {
			last := &q.chunks[n-1]
			k := min(len(p), cap(*last)-len(*last))
			*last = append(*last, p[:k]...)
			p = p[k:]
			continue
		}
		// A stream that has filled a chunk will fill a larger one, too.
		want := len(p)
		if n := len(q.chunks); n > 0 {
			want = max(want, cap(q.chunks[n-1])+1)
		}
		q.chunks = append(q.chunks, newChunk(want))
	}
}

func (q *body) read(p []byte) (n int) {
	for n < len(p) && q.size > 0 {
		first := q.chunks[0]
		k := copy(p[n:], first[q.off:])
		n += k
		q.off += k
		q.size -= k
		if q.off == len(first) {
			q.shift()
		}
	}
	return n
}

// shift drops the first chunk, which has been read.
func (q *body) shift() {
	freeChunk(q.chunks[0])
	copy(q.chunks, q.chunks[1:])
	q.chunks[len(q.chunks)-1] = nil
	q.chunks = q.chunks[:len(q.chunks)-1]
	q.off = 0
}

// drop drops all that was not read and returns how many octets that was.
func (q *body) drop() (n int) {
	n = q.size
	for _, b := range q.chunks {
		freeChunk(b)
	}
	clear(q.chunks)
	*q = body{chunks: q.chunks[:0]}
	return n
}
