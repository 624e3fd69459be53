package capture

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// lint is an observer.
type lint struct{ s *session }

func newLint(s *session) observer { return &lint{s} }

func (o *lint) frame(*Frame) {}

func (o *lint) lost(Dir, time.Time, int64) {}

func (o *lint) end(time.Time, wire.How) {}
