package appliance

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/model"
)

// generateOptions are the flags of generate.
type generateOptions struct {
	model  string // directory
	labels []string
	count  int // packets of each label
	seed   uint64
	out    string
	report string   // JSON file; "" for none
	real   []string // NAME=FILE
	uuid   string   // of a truth record whose packet is made again; "": packets from the seed
	truth  string   // where the record is
}

const (
	generateLong = `Writes packets that a model generates to a pcapng file, as Ethernet frames with repaired checksums, one
interface for each label. It sends nothing. The same model and seed give the same file. With --uuid it makes
the packet of a truth record again, from the record's model, seed and index: byte for byte the injected one.`

	generateExample = `  pacgan-appliance generate --model m --count 100 --out generated.pcapng
  pacgan-appliance generate --model /var/lib/pacgan-appliance/models/current --label dns --seed 7 --out dns.pcapng
  pacgan-appliance generate --uuid 018f1e2d-3c4b-7a69-8877-665544332211 --out packet.pcapng`
)

// generateCommand writes generated packets to a file; it sends nothing.
func (p *Program) generateCommand() *cobra.Command {
	var o generateOptions
	cmd := &cobra.Command{
		Use:     "generate --model DIR --out FILE.pcapng",
		Short:   "Write generated packets to a pcapng file, checksums repaired",
		Long:    generateLong,
		Example: generateExample,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.generate(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.model, "model", "", "`directory` of the model (required; with --uuid: the record's model in models beside --truth)")
	flags.StringSliceVar(&o.labels, "label", nil, "labels to generate (default: all of the model's)")
	flags.IntVar(&o.count, "count", 3000, "packets of each label")
	flags.Uint64Var(&o.seed, "seed", 1, "the same seed and model give the same packets")
	flags.StringVar(&o.out, "out", "", "pcapng `file` to write (required)")
	flags.StringVar(&o.report, "report", "", "write how the packets compare with real ones to `FILE.json`, and as a page to FILE.html")
	flags.StringArrayVar(&o.real, "real", nil, "`NAME=FILE`: real packets for the report, of a capture file; repeatable (default: those that the model's state directory holds out)")
	flags.StringVar(&o.uuid, "uuid", "", "make the packet of this truth record again: a `UUID`")
	flags.StringVar(&o.truth, "truth", defaultTruth, "with --uuid: file or `directory` of the records")
	completeDirectories(cmd, "model")
	completeDirectories(cmd, "truth")
	completeFiles(cmd, "real", "pcap", "pcapng")
	completeFiles(cmd, "out", "pcapng")
	return cmd
}

func (p *Program) generate(ctx context.Context, o generateOptions) error {
	switch {
	case o.uuid != "" && o.out != "":
		return p.regenerate(o)
	case o.model == "" && o.uuid == "":
		return usagef("generate: --model DIR is missing: the directory that train wrote")
	case o.out == "":
		return usagef("generate: --out FILE.pcapng is missing")
	case o.real != nil && o.report == "":
		return usagef("generate: --real is for --report FILE.json")
	case o.count < 1:
		return usagef("generate: --count %d: at least 1", o.count)
	}
	m, manifest, err := model.Load(o.model)
	if err != nil {
		return err
	}
	if len(o.labels) == 0 {
		o.labels = m.Labels
	}
	var real corpus
	if o.report != "" { // before the work of generating: what is missing shows at once
		if real, err = p.realFor(o); err != nil {
			return err
		}
	}
	packets := make([][][]byte, len(o.labels))
	for i, label := range o.labels {
		sampler, err := m.NewSampler(label, o.seed)
		if err != nil {
			return fmt.Errorf("generate: %w", err)
		}
		ph := p.startPhase("generate "+label, o.count)
		for n := range o.count {
			packet, err := sampler.Next(nil)
			if err != nil {
				return fmt.Errorf("generate %s: %w", label, err)
			}
			packets[i] = append(packets[i], packet)
			ph.set(n+1, "")
		}
		ph.end(thousands(o.count) + " packets")
	}
	// The model's own time, so that the same seed gives the same file.
	if err := writeGenerated(o.out, o.labels, packets, manifest.Created); err != nil || o.report == "" {
		return err
	}
	return p.reportGenerated(ctx, o, manifest, real, packets)
}
