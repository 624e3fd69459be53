package capture

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// requests is an observer.
type requests struct{ s *session }

func newRequests(s *session) observer { return &requests{s} }

func (o *requests) frame(*Frame) {}

func (o *requests) lost(Dir, time.Time, int64) {}

func (o *requests) end(time.Time, wire.How) {}
