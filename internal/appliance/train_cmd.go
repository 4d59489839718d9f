package appliance

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/train"
)

// step0Dir is where, in a model's directory, the generator lies as it was
// before adversarial training: what the trained one is compared with.
const step0Dir = "step0"

// modelsDir is where, in the state directory, models are kept.
const modelsDir = "models"

// trainOptions are the flags of train.
type trainOptions struct {
	labels    []string // NAME=FILE
	state     string
	only      []string // labels of state; none: all
	out       string
	recipe    string
	paper     []string // settings of recipe paper
	steps     int
	seed      uint64
	threads   int
	since     string // RFC 3339, with --state
	least     int    // packets of a label, however old, where --since leaves fewer
	renew     bool   // secrets
	resume    bool
	saveEvery time.Duration
	json      bool
}

const (
	trainLong = `Trains a model, from capture files or from what the daemon captured, and writes it to a directory that
"generate" and the daemon read. Of the daemon's captures the held-out packets are left aside. It runs in
this process; "train now" has the running daemon train instead.

Until the model is written, the training's state is kept beside it (DIR.training, or training in the state
directory). One that was stopped or killed goes on with --resume, and ends in the same model, byte for byte.`

	trainExample = `  pacgan-appliance train --label dns=dns.pcap --label ping=ping.pcapng --out m
  pacgan-appliance train --state /var/lib/pacgan-appliance --recipe tree --out m
  pacgan-appliance train --resume --out m
  pacgan-appliance train now`
)

// trainCommand trains a model from files or from the daemon's state. The lab
// and the daemon run it as their child.
func (p *Program) trainCommand() *cobra.Command {
	var o trainOptions
	cmd := &cobra.Command{
		Use:     "train (--label NAME=FILE.pcap ... --out DIR | --state DIR)",
		Short:   "Train a model from capture files, or from what the daemon captured",
		Long:    trainLong,
		Example: trainExample,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.train(cmd.Context(), o, cmd.Flags()) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.labels, "label", nil, "`NAME=FILE`: a label and a pcap or pcapng file of its packets; repeatable")
	flags.StringVar(&o.state, "state", "", "the daemon's state `directory`: train on its captures, held-out packets aside")
	flags.StringSliceVar(&o.only, "only", nil, "with --state: the `labels` to train (default: all that were captured)")
	flags.StringVar(&o.out, "out", "", "`directory` for the model (default with --state: a new one in its models)")
	flags.StringVar(&o.recipe, "recipe", "gan", "gan, paper (the PAC-GAN paper's) or tree (the statistical baseline)")
	flags.StringSliceVar(&o.paper, "paper", nil, paperUsage)
	flags.IntVar(&o.steps, "steps", 0, "steps of adversarial training; 0: the recipe's default")
	flags.Uint64Var(&o.seed, "seed", 1, "the same seed, data and threads give the same model")
	flags.IntVar(&o.threads, "threads", 0, "threads that compute; 0: one for each processor")
	flags.StringVar(&o.since, "since", "", "with --state: learn "+sinceUsage)
	flags.IntVar(&o.least, "least", leastDefault, "with --since: learn "+leastUsage)
	flags.BoolVar(&o.renew, "renew-secrets", false, "give each source new cookies and tokens before anything is learned: none that was captured is generated")
	flags.BoolVar(&o.resume, "resume", false, "go on with the unfinished training of this --out or --state, if there is one")
	flags.DurationVar(&o.saveEvery, "save-every", time.Minute, "time between two states that --resume goes on from")
	flags.BoolVar(&o.json, "json", false, "progress and result as lines of JSON on standard output")
	completeFiles(cmd, "label", "pcap", "pcapng")
	completeDirectories(cmd, "state")
	completeDirectories(cmd, "out")
	completeChoices(cmd, "recipe", recipes()...)
	cmd.AddCommand(p.trainNowCommand())
	return cmd
}

// What --since and --least say of packets.
const (
	leastDefault = 500
	sinceUsage   = "what was captured after this `time` alone, such as 2026-01-02T15:04:05Z"
	leastUsage   = "at least so many packets of each label, older ones where there are too few"
)

// paperUsage explains --paper.
const paperUsage = "`settings` of recipe paper: noise=N, critic-rate=R, norm=layer|none; and departures from the paper: " +
	"average=DECAY, falling, best"

// recipes are the names of what can be trained.
func recipes() []string {
	return []string{string(model.RecipeGAN), string(model.RecipePaper), string(model.RecipeTree)}
}

func checkRecipe(recipe string) error {
	if slices.Contains(recipes(), recipe) {
		return nil
	}
	return fmt.Errorf("--recipe %q: must be gan, paper or tree", recipe)
}

func (o trainOptions) check() error {
	switch {
	case len(o.labels) > 0 && o.state != "":
		return errors.New("train: --label and --state exclude each other")
	case len(o.labels) == 0 && o.state == "" && !(o.resume && o.out != ""):
		return errors.New("train: name packets to learn: --label NAME=FILE.pcap, or --state DIR")
	case len(o.labels) > 0 && o.out == "":
		return errors.New("train: --out DIR is missing: where the model goes")
	case o.since != "" && o.state == "":
		return errors.New("train: --since is for --state")
	case o.saveEvery <= 0:
		return fmt.Errorf("train: --save-every %v: must be more than 0", o.saveEvery)
	case len(o.paper) > 0 && o.recipe != string(model.RecipePaper) && !o.resume:
		return errors.New("train: --paper is for --recipe paper")
	}
	return checkRecipe(o.recipe)
}

func (p *Program) train(ctx context.Context, o trainOptions, flags *pflag.FlagSet) (err error) {
	if err := o.check(); err != nil {
		return usageError{err}
	}
	t, err := p.openTraining(o, flags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	o.recipe, o.seed = string(t.options.Recipe), t.options.Seed
	ph := p.startPhase("train "+o.recipe, max(t.options.Steps, 1))
	result, err := t.run(ctx, func(now train.Progress) { p.trainProgress(o, ph, now) })
	if err != nil {
		return p.interrupted(o, t, result, err)
	}
	judgedBy, judgeable := t.data.orValidation(result)
	judged, err := p.measure(ctx, o, judgedBy, judgeable)
	if err != nil {
		return p.interrupted(o, t, result, err)
	}
	dir, err := p.saveModel(o, t, result, judged)
	if err != nil {
		return err
	}
	if err := writeModelPage(dir, judgedBy.against(), judged.labels); err != nil {
		return err
	}
	done := trainReport(result)
	if o.json {
		return json.NewEncoder(p.Stdout).Encode(trainEvent{Step: result.Steps, Steps: result.Steps, Model: dir, Report: &done})
	}
	ph.end(thousands(result.Steps) + " steps; " + kept(o.recipe, result.Chosen))
	_, err = fmt.Fprintf(p.Stdout, "model %s\n", dir)
	return err
}

// interrupted says beside the reason how a training that was stopped goes on.
// Of one that failed it keeps the best model.
func (p *Program) interrupted(o trainOptions, t *training, result *train.Result, err error) error {
	switch {
	case result == nil:
		return err
	case t.dir != "" && errors.Is(err, context.Canceled):
		return fmt.Errorf("%w; to go on: %s", err, o.resumeCommand())
	}
	dir, saveErr := p.saveModel(o, t, result, measured{})
	if saveErr != nil {
		return errors.Join(err, saveErr)
	}
	return fmt.Errorf("%w; the best model until then, of step %d, is %s", err, result.Chosen, dir)
}

// trainProgress shows a step, to a person or to the parent process.
func (p *Program) trainProgress(o trainOptions, ph *phase, now train.Progress) {
	if !o.json {
		ph.resize(now.Steps)
		ph.set(now.Step, fmt.Sprintf("best %.4f at step %d", now.Best.Distance, now.Best.Step))
		return
	}
	// The parent shows it; one that is gone needs no progress.
	e := trainEvent{
		Step: now.Step, Steps: now.Steps, CriticLoss: now.CriticLoss, GeneratorLoss: now.GeneratorLoss,
		BestStep: now.Best.Step, BestDistance: now.Best.Distance, ElapsedSeconds: now.Elapsed.Seconds(),
	}
	if now.Last.Step == now.Step || now.Step == 1 { // step 0 is told of with the first
		at := checkpointOf(now.Last)
		e.Checkpoint = &at
	}
	_ = json.NewEncoder(p.Stdout).Encode(e)
}

func checkpointOf(c train.Checkpoint) model.Checkpoint {
	return model.Checkpoint{
		Step: c.Step, CriticLoss: c.CriticLoss, GeneratorLoss: c.GeneratorLoss, Distance: c.Distance, Labels: c.Labels, Seconds: c.Seconds,
	}
}

// trainingOf is what the manifest tells of a training.
func trainingOf(r *train.Result, data corpus) *model.Training {
	t := &model.Training{
		Step: r.Chosen, Steps: r.Steps, Seconds: r.WallSeconds, CPUSeconds: r.CPUSeconds, Packets: r.Packets, Until: data.until, LeftOut: data.leftOut, Floor: r.Floor, Losses: r.Losses,
	}
	for _, c := range r.Curve {
		t.Curve = append(t.Curve, checkpointOf(c))
	}
	return t
}

// saveModel writes the chosen model, and beside it the one of step 0, and
// removes the training's state.
func (p *Program) saveModel(o trainOptions, t *training, result *train.Result, judged measured) (dir string, err error) {
	configHash, err := hashJSON(t.options)
	if err != nil {
		return "", err
	}
	manifest := model.Manifest{
		Seed: t.options.Seed, ConfigHash: configHash, DataHash: hashData(t.data.train), Software: p.Version, Created: time.Now(),
		Training: trainingOf(result, t.data), Quality: judged.quality, Privacy: judged.privacy, Rival: judged.rival,
	}
	dir = o.out
	if dir != "" {
		err = model.SaveAs(dir, result.Model, manifest)
	} else {
		models := filepath.Join(o.state, modelsDir)
		var id string
		id, err = model.Save(models, result.Model, manifest)
		dir = filepath.Join(models, id)
	}
	if err == nil {
		err = model.SaveAs(filepath.Join(dir, step0Dir), result.Step0, manifest)
	}
	if err != nil {
		return "", err
	}
	return dir, t.done()
}

func trainReport(r *train.Result) TrainReport {
	return TrainReport{Seconds: r.WallSeconds, CPUSeconds: r.CPUSeconds, Steps: r.Steps, Chosen: r.Chosen, Packets: r.Packets}
}

// hashJSON is the SHA-256 of v's JSON, in hex.
func hashJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// hashData is the SHA-256 over all labels and packets, each with its length.
func hashData(data train.Data) string {
	h := sha256.New()
	write := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
		h.Write(b)
	}
	for _, set := range data {
		write([]byte(set.Label))
		for _, packet := range set.Packets {
			write(packet)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// cutLabel splits NAME=FILE.
func cutLabel(flag string) (name, file string, err error) {
	name, file, ok := strings.Cut(flag, "=")
	if !ok || name == "" || file == "" {
		return "", "", usagef("--label %q: must be NAME=FILE, such as dns=dns.pcap", flag)
	}
	return name, file, nil
}
