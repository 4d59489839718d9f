package appliance

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
	slogjournal "github.com/systemd/slog-journal"

	"pacgan-appliance/internal/config"
)

// journalPrefix begins the journal's fields of ours: `journalctl PACGAN_TASK=web`.
const journalPrefix = "PACGAN_"

// newLogger logs a line an event: to the journal, with a field for each
// attribute, where standard error leads there, and as text to w otherwise.
func newLogger(w io.Writer, level slog.Leveler) (*slog.Logger, error) {
	toJournal, err := journal.StderrIsJournalStream()
	if err != nil || !toJournal { // err: JOURNAL_STREAM is not systemd's
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})), nil
	}
	h, err := newJournalHandler(level)
	if err != nil {
		return nil, err
	}
	return slog.New(h), nil
}

// slogLevel is a level of the config as slog has it.
func slogLevel(level config.LogLevel) slog.Level {
	switch level {
	case config.LogDebug:
		return slog.LevelDebug
	case config.LogWarn:
		return slog.LevelWarn
	case config.LogError:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// journalHandler writes an event to the journal: its attributes as fields, and
// in the message too, since that is all that journalctl shows a person.
type journalHandler struct {
	fields slog.Handler
	said   string // attributes of WithAttrs, as the message has them
}

func newJournalHandler(level slog.Leveler) (*journalHandler, error) {
	fields, err := slogjournal.NewHandler(&slogjournal.Options{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			a.Key = journalPrefix + fieldName(a.Key)
			if a.Value.Kind() == slog.KindDuration { // microseconds otherwise, which nobody would guess
				a.Value = slog.StringValue(a.Value.Duration().String())
			}
			return a
		},
		ReplaceGroup: fieldName,
	})
	if err != nil {
		return nil, fmt.Errorf("log to the journal: %w", err)
	}
	return &journalHandler{fields: fields}, nil
}

// fieldName makes a key one that the journal takes: [A-Z0-9_]+
// (systemd.journal-fields(7)).
func fieldName(key string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(key))
}

// Enabled implements slog.Handler.
func (h *journalHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.fields.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	said := h.said
	r.Attrs(func(a slog.Attr) bool {
		said += sayAttr(a)
		return true
	})
	if said != "" {
		r.Message += ":" + said
	}
	return h.fields.Handle(ctx, r)
}

// sayAttr is an attribute as the message has it. The component is a field
// only: the message says what happened.
func sayAttr(a slog.Attr) string {
	if a.Key == "component" {
		return ""
	}
	value := a.Value.Resolve().String()
	if value == "" || strings.ContainsAny(value, " \"=\n") {
		value = fmt.Sprintf("%q", value)
	}
	return " " + a.Key + "=" + value
}

// WithAttrs implements slog.Handler.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := journalHandler{fields: h.fields.WithAttrs(attrs), said: h.said}
	for _, a := range attrs {
		next.said += sayAttr(a)
	}
	return &next
}

// WithGroup implements slog.Handler.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	return &journalHandler{fields: h.fields.WithGroup(name), said: h.said}
}
