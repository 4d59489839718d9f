package appliance

import (
	"fmt"
	"math"
	"strings"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
	"pacgan-appliance/internal/verify"
)

// gate decides whether a new model takes over. It may only be worse than the
// current one by what chance makes of equal ones. The first model there is has
// nobody to be compared with: it has to be answered at all.
type gate struct {
	labels []string
	first  bool // no model is in use
	// elsewhere: it learned another gateway's packets. Those have other addresses and clocks and have passed other routers,
	// so that it is always told from what is captured here; what it asks for, and how often anew, is compared all the same.
	elsewhere bool
	// Of each label that was measured, against the same held-out packets.
	quality, rival map[string]quality.Report
}

// aucZ is how many standard errors an AUC may be above the current model's:
// many measures of many labels are compared, and at 1.96 one in twenty would
// differ by chance.
const aucZ = 3.29

// held says in which measures of its quality against held-out packets the new
// model is worse.
func (g gate) held() []string {
	var faults []string
	for _, label := range g.labels {
		now, ok := g.quality[label]
		was, measured := g.rival[label]
		if !ok || !measured {
			continue
		}
		say := func(format string, args ...any) {
			faults = append(faults, label+": "+fmt.Sprintf(format, args...))
		}
		if below(share(now.N.Covered, now.N.TrainKeys), share(was.N.Covered, was.N.TrainKeys)) {
			say("covers %d of %d keys, the current model %d", now.N.Covered, now.N.TrainKeys, was.N.Covered)
		}
		if below(share(was.N.Duplicates, was.N.Generated), share(now.N.Duplicates, now.N.Generated)) {
			say("%d of %d packets are duplicates, of the current model's %d", now.N.Duplicates, now.N.Generated, was.N.Duplicates)
		}
		if g.elsewhere {
			continue
		}
		if floor := now.FieldJSDFloor.Mean; now.FieldJSD.Mean > was.FieldJSD.Mean+floor {
			say("field distance %.3f, the current model's %.3f, between real packets %.3f", now.FieldJSD.Mean, was.FieldJSD.Mean, floor)
		}
		if now.AUC > was.AUC+aucZ*math.Hypot(aucError(now), aucError(was)) {
			say("told from real packets with AUC %.2f, the current model's %.2f", now.AUC, was.AUC)
		}
	}
	return faults
}

// aucError is the standard error of a report's AUC (Hanley and McNeil,
// Radiology 143, 1982), without bound where it was not measured.
func aucError(r quality.Report) float64 {
	n := float64(r.N.AUCPerClass)
	if n == 0 {
		return math.Inf(1)
	}
	a := r.AUC
	q1, q2 := a/(2-a), 2*a*a/(1+a)
	return math.Sqrt((a*(1-a) + (n-1)*(q1-a*a) + (n-1)*(q2-a*a)) / (n * n))
}

// tried judges by the canary, and says why.
func (g gate) tried(c *model.Canary) (model.State, string) {
	var faults, silent []string
	asked := 0 // labels that expect answers
	for _, l := range c.Labels {
		if l.Model.Decided > 0 {
			asked++
		}
		if l.Model.Decided > 0 && l.Model.Answered+l.Current.Answered+l.Ceiling.Answered == 0 && l.Ceiling.Decided > 0 {
			silent = append(silent, fmt.Sprintf("%s %d", l.Label, l.Ceiling.Decided))
			continue // what the network does not answer says nothing about the model
		}
		faults = append(faults, g.worse(l)...)
	}
	dead := asked > 0 && len(silent) == asked
	nothing := "the network answers nothing, of captured packets neither (" + strings.Join(silent, ", ") + ")"
	switch {
	case len(faults) > 0:
		return model.StateAside, strings.Join(faults, "; ")
	case dead && g.first:
		return model.StatePromoted, nothing + ": promoted untried, since there is no other"
	case dead:
		return model.StateAside, nothing + ": it could not be tried"
	case g.first:
		return model.StatePromoted, "the first model; " + ratesOf(c)
	}
	return model.StatePromoted, "not worse than the current model; " + ratesOf(c)
}

// worse says in what a label of the new model is worse than the current one's.
func (g gate) worse(l model.CanaryLabel) []string {
	if g.first {
		if l.Model.Decided > 0 && l.Model.Answered == 0 {
			return []string{fmt.Sprintf("%s: none of %d packets answered, of captured ones %d of %d",
				l.Label, l.Model.Decided, l.Ceiling.Answered, l.Ceiling.Decided)}
		}
		return nil
	}
	var faults []string
	if below(successOf(l.Model), successOf(l.Current)) {
		faults = append(faults, fmt.Sprintf("%s: %d of %d packets answered, of the current model's %d of %d",
			l.Label, l.Model.Answered, l.Model.Decided, l.Current.Answered, l.Current.Decided))
	}
	now, was := l.Variety, l.CurrentVariety
	if below(share(was.Duplicates, was.Packets), share(now.Duplicates, now.Packets)) {
		faults = append(faults, fmt.Sprintf("%s: %d of %d packets are duplicates, of the current model's %d",
			l.Label, now.Duplicates, now.Packets, was.Duplicates))
	}
	if fewer(now.Keys, was.Keys) {
		faults = append(faults, fmt.Sprintf("%s: %d packets ask for %d things, the current model's for %d", l.Label, now.Packets, now.Keys, was.Keys))
	}
	return faults
}

// share is a proportion with its interval.
func share(count, of int) verify.Success { return verify.SuccessOf(uint64(count), uint64(of)) }

// ratesOf lists a canary's rates.
func ratesOf(c *model.Canary) string {
	var parts []string
	for _, l := range c.Labels {
		parts = append(parts, fmt.Sprintf("%s %d of %d", l.Label, l.Model.Answered, l.Model.Decided))
	}
	return "answered: " + strings.Join(parts, ", ")
}
