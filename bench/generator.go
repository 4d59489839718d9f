package main

import (
	"compress/flate"
	"context"
	"io"

	"pacgan-appliance/bench/traffic"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/train"
)

// generating draws GETs, from a model of a recipe that was trained for a step, its network's weights made up: how good it is
// does not change how long it takes. Theirs builds them from tables, as one would without a generator.
func generating(recipe model.Recipe) func() (ours, theirs func() error, err error) {
	return func() (ours, theirs func() error, err error) {
		const label = "http"
		w, err := traffic.New("tools", 1)
		if err != nil {
			return nil, nil, err
		}
		packets, err := w.Packets(label, 1500)
		if err != nil {
			return nil, nil, err
		}
		r, err := train.Train(context.Background(), train.Data{{Label: label, Packets: packets}}, train.Options{Recipe: recipe, Steps: 1, Seed: 1})
		if err != nil {
			return nil, nil, err
		}
		if r.Model.Net != nil {
			makeUp(r.Model.Net)
		}
		s, err := r.Model.NewSampler(label, 1)
		if err != nil {
			return nil, nil, err
		}
		var packet []byte
		ours = func() (err error) {
			packet, err = s.Next(packet[:0])
			return err
		}
		theirs = func() error {
			_, err := w.Packets(label, 1)
			return err
		}
		return ours, theirs, nil
	}
}

// fitted are the labels that fitting is measured on, and how many packets of each.
var fitted = []struct{ set, label string }{
	{"tools", "ping"}, {"tools", "dns"}, {"tools", "http"}, {"shifting", "http"}, {"long", "http"},
}

const fittedPackets = 20_000

// fitting fits the trees of five labels of 20,000 packets, one of them of up to 1,400 bytes. Theirs is to
// compress the same packets: DEFLATE looks for what repeats in them too.
func fitting() (ours, theirs func() error, err error) {
	var labels [][][]byte
	for _, f := range fitted {
		w, err := traffic.New(f.set, 1)
		if err != nil {
			return nil, nil, err
		}
		packets, err := w.Packets(f.label, fittedPackets)
		if err != nil {
			return nil, nil, err
		}
		labels = append(labels, packets)
	}
	ours = func() error {
		for _, packets := range labels {
			if _, err := train.FitTrees(context.Background(), packets, 1); err != nil {
				return err
			}
		}
		return nil
	}
	w, err := flate.NewWriter(io.Discard, flate.DefaultCompression)
	if err != nil {
		return nil, nil, err
	}
	theirs = func() error {
		for _, packets := range labels {
			w.Reset(io.Discard)
			for _, p := range packets {
				if _, err := w.Write(p); err != nil {
					return err
				}
			}
			if err := w.Close(); err != nil {
				return err
			}
		}
		return nil
	}
	return ours, theirs, nil
}
