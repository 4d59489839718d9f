package appliance

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/config"
)

// injectOptions are inject's flags.
type injectOptions struct {
	config   string
	source   string   // "": the config's
	pcaps    []string // capture files in the place of the store
	model    string   // directory; "": the current model of the config's state
	labels   []string // none: all
	count    uint64
	duration time.Duration
	rate     string // "": the config's
	loop     bool
	seed     uint64
	json     string
	truth    string // directory of records; "": none are kept
}

const (
	injectLong = `Sends packets once and says what the network answered: generated ones (--source model), captured ones
(--source capture) or those of capture files (--pcap), all through the same guard, judged the same way. What
is answered of real packets is what a model's success is to be read against. Packets of a file get the label
whose filter takes them; a request's further segments follow it. Works while no daemon runs, within the
config's [safety]. The exit code is 1 when the counts do not add up.`

	injectExample = `  pacgan-appliance inject -c config.toml --source model --count 1000
  pacgan-appliance inject -c config.toml --pcap office.pcapng --label dns --rate learned
  pacgan-appliance inject -c config.toml --source capture --loop --duration 1m --rate 500 --json out.json`
)

// injectCommand sends packets once, verified.
func (p *Program) injectCommand() *cobra.Command {
	var o injectOptions
	cmd := &cobra.Command{
		Use:     "inject -c config.toml [--source model|capture | --pcap FILE]",
		Short:   "Send generated or captured packets once, and count the answers",
		Long:    injectLong,
		Example: injectExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return usageError{err}
			}
			return p.inject(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.config, "config", "c", "config.toml", "config `file`")
	flags.StringVar(&o.source, "source", "", "model or capture (default: inject.source of the config)")
	flags.StringArrayVar(&o.pcaps, "pcap", nil, "replay the packets of this pcap or pcapng `file`; may be repeated")
	flags.StringVar(&o.model, "model", "", "`directory` of the model (default: the current one in state.dir)")
	flags.StringSliceVar(&o.labels, "label", nil, "only these labels (default: all of the config)")
	flags.Uint64Var(&o.count, "count", 0, "packets to send over all labels; 0: until the source ends")
	flags.DurationVar(&o.duration, "duration", 0, "how long to send, such as 30s; 0: until the source ends")
	flags.StringVar(&o.rate, "rate", "", `packets per second over all labels, or "learned" (default: inject.rate)`)
	flags.BoolVar(&o.loop, "loop", false, "begin captured packets again after the last")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of what a model generates")
	flags.StringVar(&o.json, "json", "", "write the result to `file` as JSON")
	flags.StringVar(&o.truth, "truth", "", truthUsage)
	completeDirectories(cmd, "truth")
	return cmd
}

// check refuses flags that cannot be meant, before anything is opened.
func (o injectOptions) check() error {
	model := o.source == string(config.SourceModel)
	switch {
	case o.source != "" && !model && o.source != string(config.SourceCapture):
		return fmt.Errorf("--source %q: must be model or capture", o.source)
	case model && len(o.pcaps) > 0:
		return errors.New("--pcap: replays captured packets: leave --source model out")
	case o.model != "" && (len(o.pcaps) > 0 || o.source == string(config.SourceCapture)):
		return errors.New("--model: captured packets need none")
	case o.duration < 0:
		return fmt.Errorf("--duration %v: must not be negative", o.duration)
	case model && o.count == 0 && o.duration == 0:
		return errEndless
	}
	return nil
}

// errEndless is a model, or a loop, with no end given.
var errEndless = errors.New("--count or --duration is missing: this source never ends")

// apply puts the flags into the config: what is chosen there is what is done.
func (o injectOptions) apply(cfg *config.Config) error {
	switch {
	case len(o.pcaps) > 0:
		cfg.Inject.Source = config.SourceCapture
	case o.source != "":
		cfg.Inject.Source = config.Source(o.source)
	}
	if (cfg.Inject.Source == config.SourceModel || o.loop) && o.count == 0 && o.duration == 0 {
		return usageError{errEndless}
	}
	for _, name := range o.labels {
		if !slices.ContainsFunc(cfg.Labels, func(l config.Label) bool { return l.Name == name }) {
			return usagef("--label %q: %s has %s", name, o.config, strings.Join(labelNames(*cfg), ", "))
		}
	}
	if len(cfg.Safety.Allow) == 0 {
		return fmt.Errorf("%s: safety.allow is empty, so that nothing may be injected: list the test servers' networks there", o.config)
	}
	keepTruth(cfg, o.truth)
	return o.applyRate(cfg)
}

func (o injectOptions) applyRate(cfg *config.Config) error {
	switch o.rate {
	case "":
		return nil
	case "learned":
		cfg.Inject.Rate = config.Rate{Learned: true}
		return nil
	}
	rate, err := strconv.ParseFloat(o.rate, 64)
	if err != nil || !(rate > 0 && rate <= config.MaxRate) {
		return usagef(`--rate %q: must be packets per second, above 0, or "learned"`, o.rate)
	}
	if rate > cfg.Safety.MaxRate {
		return fmt.Errorf("--rate %s: above safety.max_rate %g of %s", o.rate, cfg.Safety.MaxRate, o.config)
	}
	cfg.Inject.Rate = config.Rate{PerSecond: rate}
	return nil
}

// chosen are the labels that are injected, in the config's order.
func (o injectOptions) chosen(labels []config.Label) []config.Label {
	if len(o.labels) == 0 {
		return labels
	}
	return slices.DeleteFunc(slices.Clone(labels), func(l config.Label) bool { return !slices.Contains(o.labels, l.Name) })
}
