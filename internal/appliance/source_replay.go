package appliance

import "fmt"

// replayDrawer gives captured packets in their order, and after the last the
// first again.
type replayDrawer struct {
	packets [][][]byte // [label]
	next    []int
}

func (d *replayDrawer) draw(label int, buf []byte) ([]byte, error) {
	all := d.packets[label]
	i := d.next[label]
	d.next[label] = (i + 1) % len(all)
	return append(buf, all[i]...), nil
}

// newReplaySource replays captured packets of each label: once, or for ever
// with loop. They are sent as a model's are, so that what is answered of them
// is what a model's success is read against.
func newReplaySource(packets [][][]byte, names []string, o order, loop bool) (*source, error) {
	s := &source{drawer: &replayDrawer{packets, make([]int, len(packets))}, order: o, drawn: make([]uint64, len(packets))}
	for i, p := range packets {
		if len(p) == 0 {
			return nil, fmt.Errorf("label %q: no captured packets to replay", names[i])
		}
		n := len(p)
		if loop {
			n = endless
		}
		s.left = append(s.left, n)
	}
	return s, nil
}

// replayMost bounds the captured packets of a label that are replayed: the
// newest of them, some 15 MB of requests.
const replayMost = 100_000
