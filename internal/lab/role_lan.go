package lab

import (
	"context"
	"fmt"
	"sync"

	"pacgan-appliance/internal/lab/client"
	"pacgan-appliance/internal/lab/plan"
)

// lanRole is what the "lan" process does for the gateway.
type lanRole struct {
	ctx context.Context // ends when the gateway hangs up
	set *client.Set

	mu   sync.Mutex
	runs map[uint64]*run
}

type run struct {
	progress client.Progress
	cancel   context.CancelFunc
}

// RunArgs asks for N requests of a label. ID is the caller's name for the run.
type RunArgs struct {
	ID    uint64
	Label string
	N     int
	Seed  uint64
}

// RunReply is how far a run is: requests made, and those answered as they should be.
type RunReply struct{ Made, OK int }

// Setup configures the clients' namespace.
func (r *lanRole) Setup(args SetupArgs, pid *string) (err error) {
	if *pid, err = setUp(plan.LANHost, plan.LAN()); err != nil {
		return err
	}
	r.set, err = newClients(args)
	return err
}

// Run makes requests until all are made or Cancel is called.
func (r *lanRole) Run(args RunArgs, reply *RunReply) error {
	if r.set == nil {
		return fmt.Errorf("clients are not set up")
	}
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	current := &run{cancel: cancel}
	r.mu.Lock()
	r.runs[args.ID] = current
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.runs, args.ID)
		r.mu.Unlock()
	}()
	err := r.set.Run(ctx, args.Label, args.N, args.Seed, &current.progress)
	*reply = RunReply{Made: current.progress.Made(), OK: current.progress.OK()}
	return err
}

// Progress tells how far a run is; a run that is over has none.
func (r *lanRole) Progress(id uint64, reply *RunReply) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if current, ok := r.runs[id]; ok {
		*reply = RunReply{Made: current.progress.Made(), OK: current.progress.OK()}
	}
	return nil
}

// Cancel ends a run, if it is not over.
func (r *lanRole) Cancel(id uint64, _ *struct{}) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if current, ok := r.runs[id]; ok {
		current.cancel()
	}
	return nil
}
