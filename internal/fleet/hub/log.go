package hub

import (
	"context"
	"fmt"
	"log/slog"
)

// logger is the server's log as events of ours. What it calls fatal ends the hub, with that as its reason.
type logger struct {
	log  *slog.Logger
	died chan<- error
}

func (l *logger) Noticef(format string, v ...any) { l.say(slog.LevelInfo, format, v) }
func (l *logger) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, format, v) }
func (l *logger) Errorf(format string, v ...any)  { l.say(slog.LevelError, format, v) }
func (l *logger) Debugf(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }
func (l *logger) Tracef(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }

// Fatalf does not end the process, as the server's own log would: the hub ends in order.
func (l *logger) Fatalf(format string, v ...any) {
	select {
	case l.died <- fmt.Errorf("NATS server: "+format, v...):
	default: // the first one is the reason
	}
}

func (l *logger) say(level slog.Level, format string, v []any) {
	ctx := context.Background()
	if l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, "nats: "+fmt.Sprintf(format, v...))
	}
}
