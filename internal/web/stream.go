package web

import (
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
)

// maxStreams is how many pages may be open at once; more are told to come again.
const maxStreams = 64

// events sends each part of the page that changed, until the client goes or
// does not read what it is sent.
func (p *page) events(w http.ResponseWriter, r *http.Request) {
	select {
	case p.streams <- struct{}{}:
		defer func() { <-p.streams }()
	default:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	span := spanOf(r)
	stream := http.NewResponseController(w)
	tick := time.NewTicker(p.tick)
	defer tick.Stop()
	for sent := map[string]template.HTML{}; ; {
		fragments, err := p.live[span.Name].get()
		if err != nil {
			return // the page says that it lost the connection, and tries again
		}
		if stream.SetWriteDeadline(time.Now().Add(p.patience)) != nil {
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
