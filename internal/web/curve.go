package web

import (
	"fmt"
	"html/template"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"pacgan-appliance/internal/chart"
)

const curveWidth, curveHeight = vg.Length(540), vg.Length(180)

// curves are the two drawings of a training; empty where there is nothing yet.
type curves struct {
	Distance, Losses template.HTML
	Floor            float64
	Chosen           int
}

func newCurves(of Curve) (curves, error) {
	c := curves{Floor: of.Floor, Chosen: of.Chosen}
	var err error
	if c.Distance, err = distanceCurve(of); err != nil {
		return c, fmt.Errorf("web: distance curve: %w", err)
	}
	if c.Losses, err = lossCurve(of.Losses); err != nil {
		return c, fmt.Errorf("web: loss curve: %w", err)
	}
	return c, nil
}

// distanceCurve draws the distance at each checkpoint, the floor that real
// packets have, and which checkpoint was chosen.
func distanceCurve(of Curve) (template.HTML, error) {
	if len(of.Checkpoints) < 2 {
		return "", nil
	}
	p := chart.NewPlot()
	var points plotter.XYs
	lowest, highest := of.Checkpoints[0].Distance, of.Checkpoints[0].Distance
	if of.Floor > 0 {
		lowest, highest = min(lowest, of.Floor), max(highest, of.Floor)
	}
	for _, at := range of.Checkpoints {
		points = append(points, plotter.XY{X: float64(at.Step), Y: at.Distance})
		lowest, highest = min(lowest, at.Distance), max(highest, at.Distance)
	}
	room := max((highest-lowest)/2, highest/20)
	bottom, top := max(0, lowest-room), highest+room
	end := points[len(points)-1].X
	if of.Floor > 0 {
		style := draw.LineStyle{Color: chart.Class("floor"), Width: 1.5, Dashes: []vg.Length{4, 3}}
		if err := chart.AddLine(p, plotter.XYs{{X: points[0].X, Y: of.Floor}, {X: end, Y: of.Floor}}, style, plotter.NoStep); err != nil {
			return "", err
		}
	}
	chosen := float64(of.Chosen)
	if err := chart.AddLine(p, plotter.XYs{{X: chosen, Y: bottom}, {X: chosen, Y: top}}, chart.Stroke("chosen"), plotter.NoStep); err != nil {
		return "", err
	}
	if err := chart.AddLine(p, points, chart.Stroke("rate"), plotter.NoStep); err != nil {
		return "", err
	}
	p.Y.Min, p.Y.Max = bottom, top
	title := fmt.Sprintf("distance from validation packets over %g steps", end)
	return chart.Drawing(p, curveWidth, curveHeight, title, nil), nil
}

// lossCurve draws what the critic and the generator minimise.
func lossCurve(losses []Losses) (template.HTML, error) {
	if len(losses) < 2 {
		return "", nil
	}
	p := chart.NewPlot()
	var critic, generator plotter.XYs
	for _, l := range losses {
		critic = append(critic, plotter.XY{X: float64(l.Step), Y: l.Critic})
		generator = append(generator, plotter.XY{X: float64(l.Step), Y: l.Generator})
	}
	if err := chart.AddLine(p, critic, chart.Stroke("critic"), plotter.NoStep); err != nil {
		return "", err
	}
	if err := chart.AddLine(p, generator, chart.Stroke("generator"), plotter.NoStep); err != nil {
		return "", err
	}
	p.X.Min = 0
	title := fmt.Sprintf("losses of critic and generator up to step %d", losses[len(losses)-1].Step)
	return chart.Drawing(p, curveWidth, curveHeight, title, nil), nil
}
