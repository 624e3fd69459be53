package core

import "github.com/sluice-go/sluice/frame"

// Loan is the payload of a DATA frame that stays in the memory of who has queued it. Its place is
// in the output, behind the first At octets.
type Loan struct {
	At     int
	Data   []byte
	Stream *Stream // whose Queue has lent it; nil where it is a copy that Keep has made
}

// minLoan is the payload that is worth a place of its own in a system call.
const minLoan = 4 << 10

// FillLend is Fill for who takes the output at once and can send what lies in several places: large
// payloads are not copied but appended to loans. Their memory must not change until they are sent,
// or copied, although EventDrained may come before. The limit counts them, OutputLen does not.
func (d Driver) FillLend(limit int, loans []Loan) []Loan {
	d.lending, d.loans, d.lent = true, loans, 0
	d.Fill(limit)
	loans = d.loans
	d.lending, d.loans, d.lent = false, nil, 0
	return loans
}

// lend appends the header of f, which is not padded, and notes where its payload belongs.
func (c *Conn) lend(s *Stream, f frame.Data) {
	h := f.FrameHeader()
	c.out = h.Append(c.out)
	l := Loan{At: len(c.out), Data: f.Data}
	if !s.out.owned {
		l.Stream = s
	}
	c.loans = append(c.loans, l)
	c.lent += len(f.Data)
}
