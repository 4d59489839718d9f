package live

import (
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
)

// MaxStreams is how many pages may be open at once; more are told to come again.
const MaxStreams = 64

// Fragment is a part of the page that is replaced when it changes: the element
// with that id.
type Fragment struct {
	ID   string
	HTML template.HTML
}

// Streams are the event streams of the pages that are open.
type Streams struct {
	Tick     time.Duration // between events
	Patience time.Duration // with a client that does not read
	places   chan struct{}
}

// NewStreams has room for [MaxStreams].
func NewStreams() *Streams {
	return &Streams{Tick: 2 * time.Second, Patience: 10 * time.Second, places: make(chan struct{}, MaxStreams)}
}

// Open is how many there are now.
func (s *Streams) Open() int { return len(s.places) }

// Serve sends each part that changed, until the client goes or does not read
// what it is sent. get may be called by several goroutines at once.
func (s *Streams) Serve(w http.ResponseWriter, r *http.Request, get func() ([]Fragment, error)) {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	stream := http.NewResponseController(w)
	tick := time.NewTicker(s.Tick)
	defer tick.Stop()
	for sent := map[string]template.HTML{}; ; {
		fragments, err := get()
		if err != nil {
			return // the page says that it lost the connection, and tries again
		}
		if stream.SetWriteDeadline(time.Now().Add(s.Patience)) != nil {
			return // a client that does not read must not be kept for ever
		}
		for _, f := range fragments {
			if sent[f.ID] == f.HTML {
				continue
			}
			sent[f.ID] = f.HTML
			if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", f.ID, strings.ReplaceAll(string(f.HTML), "\n", "\ndata: ")); err != nil {
				return
			}
		}
		if stream.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}
