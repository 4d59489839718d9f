package appliance

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/fleet"
)

// writeMembers writes a line a member.
func writeMembers(w io.Writer, members []fleet.Member, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tROLE\tSTATE\tRATE\tANSWERED\tMODEL\tSEEN\tSPOOL")
	for _, m := range members {
		state, rate := m.State, "-"
		if m.Lost(now) {
			state = "lost"
		} else if m.Role == fleet.Gateway {
			rate = fmt.Sprintf("%g/s", m.Rate)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s ago\t%s\n", m.Name, m.Role, cmp.Or(state, "-"), rate, answered(m.Labels), cmp.Or(m.Model, "-"),
			max(0, now.Sub(m.Seen)).Round(time.Second), spooled(m))
	}
	return t.Flush()
}

// answered is the success of all labels, with what it is a share of: generated and neither in flight nor unasked.
func answered(labels []fleet.LabelBeat) string {
	var hits, of uint64
	for _, l := range labels {
		hits += l.Answered
		of += l.Generated - min(l.Generated, l.Inflight+l.Unasked)
	}
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f%% of %s", 100*float64(hits)/float64(of), thousands(of))
}

func spooled(m fleet.Member) string {
	if m.Role != fleet.Gateway {
		return "-"
	}
	text := config.ByteSize(m.Spool.Bytes).String()
	if m.Spool.Lost > 0 {
		text += ", lost " + config.ByteSize(m.Spool.Lost).String()
	}
	return text
}
