package train

import (
	"fmt"
	"strconv"
	"strings"
)

// PaperOptions say what recipe paper does where the paper is silent or where one may depart from it. The zero value is
// the paper's recipe, its gaps filled from TF-GAN's MNIST example.
type PaperOptions struct {
	Noise      int     `json:"noise,omitempty"`       // inputs: 0 is TF-GAN's 64; the paper has 1,024
	CriticRate float64 `json:"critic_rate,omitempty"` // Adam's, of the critic: 0 is TF-GAN's 1e-4; the generator's is 1e-3
	Norm       Norm    `json:"norm,omitempty"`        // of the critic's hidden layer: "" is NormLayer

	// Departures from the paper.
	Average float64 `json:"average,omitempty"` // samples with the moving average of the weights of this decay; 0: with the weights
	Falling bool    `json:"falling,omitempty"` // lets the rates fall over the second half
	Best    bool    `json:"best,omitempty"`    // keeps the best checkpoint on the validation split, not the last
}

// Norm is the normalisation of the hidden layer of the paper's critic.
type Norm string

// The normalisations.
const (
	NormLayer Norm = "layer" // as in TF-GAN's tutorial of the paper's time
	NormNone  Norm = "none"
)

const (
	mostNoise = 1 << 14
	mostRate  = 1
)

// withDefaults fills in what is 0 and reports what cannot be.
func (o PaperOptions) withDefaults() (PaperOptions, error) {
	if o.Noise == 0 {
		o.Noise = 64
	}
	if o.CriticRate == 0 {
		o.CriticRate = 1e-4
	}
	if o.Norm == "" {
		o.Norm = NormLayer
	}
	switch {
	case o.Noise < 1 || o.Noise > mostNoise:
		return o, fmt.Errorf("noise %d: must be 1 to %d", o.Noise, mostNoise)
	case !(o.CriticRate > 0 && o.CriticRate <= mostRate):
		return o, fmt.Errorf("critic-rate %g: must be more than 0 and at most %d", o.CriticRate, mostRate)
	case o.Norm != NormLayer && o.Norm != NormNone:
		return o, fmt.Errorf("norm %q: must be %s or %s", o.Norm, NormLayer, NormNone)
	case !(o.Average >= 0 && o.Average < 1):
		return o, fmt.Errorf("average %g: must be 0 or more, and less than 1", o.Average)
	}
	return o, nil
}

// ParsePaperOptions reads options as a command line gives them, such as "noise=1024" or "falling".
func ParsePaperOptions(settings []string) (PaperOptions, error) {
	var o PaperOptions
	for _, setting := range settings {
		name, value, given := strings.Cut(setting, "=")
		var err error
		switch {
		case name == "noise" && given:
			o.Noise, err = strconv.Atoi(value)
		case name == "critic-rate" && given:
			o.CriticRate, err = strconv.ParseFloat(value, 64)
		case name == "norm" && given:
			o.Norm = Norm(value)
		case name == "average" && given:
			o.Average, err = strconv.ParseFloat(value, 64)
		case name == "falling" && !given:
			o.Falling = true
		case name == "best" && !given:
			o.Best = true
		default:
			return o, fmt.Errorf("%q: must be noise=N, critic-rate=R, norm=layer, norm=none, average=DECAY, falling or best", setting)
		}
		if err != nil {
			return o, fmt.Errorf("%q: %q is no number", setting, value)
		}
	}
	_, err := o.withDefaults()
	return o, err
}

// String is the options as ParsePaperOptions reads them: those that are given.
func (o PaperOptions) String() string {
	var parts []string
	add := func(given bool, part string) {
		if given {
			parts = append(parts, part)
		}
	}
	add(o.Noise != 0, fmt.Sprintf("noise=%d", o.Noise))
	add(o.CriticRate != 0, fmt.Sprintf("critic-rate=%g", o.CriticRate))
	add(o.Norm != "", "norm="+string(o.Norm))
	add(o.Average != 0, fmt.Sprintf("average=%g", o.Average))
	add(o.Falling, "falling")
	add(o.Best, "best")
	return strings.Join(parts, ",")
}
