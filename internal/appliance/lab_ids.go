package appliance

import "context"

// startSensor has the lab's sensor watch from before the first packet on.
func (r *labRun) startSensor(ctx context.Context) error {
	if r.o.ids == "" {
		return nil
	}
	ph := r.p.startPhase(r.o.ids, 1)
	if err := r.lab.StartIDS(ctx); err != nil {
		return err
	}
	ph.end("its engine has started; it writes " + r.lab.EVE())
	return nil
}
