// Package control is how commands reach the running daemon: JSON over HTTP on
// a unix socket that only root and one group may open. It carries requests and
// replies and knows nothing of what they mean; what the daemon does with them
// is internal/appliance's.
package control

import (
	"context"
	"time"
)

const (
	// SocketName is the socket's name in the daemon's state or runtime directory.
	SocketName = "control.sock"
	// Group is the group that may use the socket beside its owner, where it exists.
	Group = "pacgan"

	socketMode = 0o660
	// A reply may take as long as a pause that waits for conversations to end.
	replyTimeout   = 20 * time.Second
	requestTimeout = 5 * time.Second
	// What a daemon that ends gives replies under way.
	stopGrace = 2 * time.Second
)

// Daemon is what the socket's requests act on.
type Daemon interface {
	// Status is what the daemon is doing, as a value that encodes to JSON.
	Status(ctx context.Context) (any, error)
	// Do carries out an action and says in one line what is so now. An error
	// is one line as well, and then nothing has changed.
	Do(ctx context.Context, a Action) (string, error)
	// Promote has packets drawn from another model, as Do does an action.
	Promote(ctx context.Context, model string) (string, error)
}

// Action is something that the daemon can be asked to do: POST /NAME.
type Action string

// The actions.
const (
	Pause  Action = "pause"  // stop injecting; nothing leaves after the reply
	Resume Action = "resume" // go on
	Train  Action = "train"  // train a model now
	Reload Action = "reload" // read the config again
	// Rollback goes back to the model that was promoted before.
	Rollback Action = "rollback"
)

// promote is the path of a promotion, before the model's ID.
const promote = "promote/"

// reply is the body of every answer but that of GET /status.
type reply struct {
	Message string `json:"message,omitempty"`
	Error   string `json:"error,omitempty"`
}
