package inject

// Recorder hears of every packet, beside the counts, once as it is handed over
// or ends before that; and from the guard, which tells verify.Options.Tell
// what becomes of it after. It is called from several goroutines, and must not
// wait.
type Recorder interface {
	// Malformed is told of a packet that cannot be framed.
	Malformed(p Packet, why error)
	// Failed is told of a packet that ends before it is handed over.
	Failed(p Packet, reason string)
	// Handed is told of a packet right before its first frame is sent.
	// conversation is the id that a TCP conversation's frames carry; where it
	// is 0 the frame carries what Handed returns, which is less than 1<<31.
	Handed(p Packet, conversation uint32) (id uint32)
	// Refused is told of a packet that was handed over, by the id that its
	// frame carries, and that the kernel did not take.
	Refused(id uint32, reason string)
}

// recorder is the one that Options name, or nobody.
func (o Options) recorder() Recorder {
	if o.Recorder == nil {
		return nobody{}
	}
	return o.Recorder
}

// nobody records nothing.
type nobody struct{}

func (nobody) Malformed(Packet, error)      {}
func (nobody) Failed(Packet, string)        {}
func (nobody) Handed(Packet, uint32) uint32 { return 0 }
func (nobody) Refused(uint32, string)       {}
