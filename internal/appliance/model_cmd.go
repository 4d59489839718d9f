package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/control"
	"pacgan-appliance/internal/model"
)

const (
	modelLong = `Lists, shows and changes the models that the daemon has trained. A new model takes over by itself where it is
not worse than the one in use, against packets that training has not seen and when some of its packets are
injected; otherwise it is kept aside, and its reason with it. The last ten are kept.

"promote" and "rollback" have a running daemon take up another model at once; without one they change what the
next start takes up.`

	modelListLong = `Lists the models that are kept, the oldest first: when and where each was trained, how good its packets are, and
whether it is in use, was before, or was kept aside.`

	modelShowLong = `Shows all that is known of a model: what it was trained on and how, how good its packets are by each measure, what
its trial on the wire gave, and why it was promoted or kept aside.`

	modelPromoteLong = `Puts a model in use, whatever the gate said of it. A running daemon draws the next packet from it; without one the
next start does.`

	modelRollbackLong = `Puts the model in use that was promoted before the one in use now, and keeps that one aside.`
)

// modelFlags say whose models a command is about.
type modelFlags struct {
	state, config string
	json          bool
}

func (f *modelFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.state, "state", "", "the daemon's state `directory` (default: the installed daemon's)")
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "config `file` of the daemon, which names its state.dir")
	cmd.MarkFlagsMutuallyExclusive("state", "config")
	completeDirectories(cmd, "state")
	completeFiles(cmd, "config", "toml")
}

// dir is the state directory.
func (f *modelFlags) dir() (string, error) {
	switch {
	case f.state != "":
		return filepath.Abs(f.state)
	case f.config != "":
		cfg, err := configLoader().Load(f.config)
		return cfg.State.Dir, err
	}
	return config.Default().State.Dir, nil
}

// modelCommand shows and changes which model is in use.
func (p *Program) modelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "model", Short: "The models: list, show, promote, rollback", Long: modelLong,
		Example: "  pacgan-appliance model list\n  pacgan-appliance model rollback", Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		p.modelSubcommand(&cobra.Command{
			Use: "list", Short: "List the models, the oldest first", Long: modelListLong,
			Example: "  pacgan-appliance model list", Args: cobra.NoArgs,
		}, true, p.modelList),
		p.modelSubcommand(&cobra.Command{
			Use: "show ID", Short: "Show all that is known of a model; ID may be current", Long: modelShowLong,
			Example: "  pacgan-appliance model show current", Args: cobra.ExactArgs(1),
		}, true, p.modelShow),
		p.modelSubcommand(&cobra.Command{
			Use: "promote ID", Short: "Have packets drawn from this model", Long: modelPromoteLong,
			Example: "  pacgan-appliance model promote 20260102T150405Z-0123abcd", Args: cobra.ExactArgs(1),
		}, false, p.modelPromote),
		p.modelSubcommand(&cobra.Command{
			Use: "rollback", Short: "Go back to the model that was promoted before", Long: modelRollbackLong,
			Example: "  pacgan-appliance model rollback", Args: cobra.NoArgs,
		}, false, p.modelRollback),
		p.modelMeasureCommand(),
	)
	return cmd
}

// modelSubcommand makes cmd do something with the models in a state directory,
// and with the ID if it is given one.
func (p *Program) modelSubcommand(cmd *cobra.Command, prints bool, do func(ctx context.Context, f modelFlags, dir, id string) error) *cobra.Command {
	var flags modelFlags
	flags.register(cmd)
	if prints {
		cmd.Flags().BoolVar(&flags.json, "json", false, "as JSON, with all that the manifests have")
	}
	cmd.Use += " [--state DIR | -c config.toml]"
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir, err := flags.dir()
		if err != nil {
			return err
		}
		return do(cmd.Context(), flags, dir, strings.Join(args, ""))
	}
	return cmd
}

// daemonOf is a client of the daemon that has the state directory in use; nil
// where none runs.
func daemonOf(ctx context.Context, dir string) (*control.Client, error) {
	for _, socket := range []string{filepath.Join(dir, control.SocketName), runtimeSocket} {
		client := control.NewClient(socket)
		var status Status
		err := client.Status(ctx, &status)
		switch {
		case errors.Is(err, control.ErrNoDaemon):
		case err != nil:
			return nil, err
		case status.StateDir == dir:
			return client, nil
		}
	}
	return nil, nil
}

func (p *Program) modelPromote(ctx context.Context, _ modelFlags, dir, id string) error {
	client, err := daemonOf(ctx, dir)
	if err != nil {
		return err
	}
	if client != nil {
		return p.say(client.Promote(ctx, id))
	}
	models := filepath.Join(dir, modelsDir)
	if current, err := model.Current(models); err == nil && current == id {
		return p.say("model "+id+" is in use already", nil)
	}
	manifest, err := manifestOf(models, id)
	if err != nil {
		return err
	}
	if _, _, err := model.Load(filepath.Join(models, id)); err != nil {
		return err
	}
	if err := model.Judge(models, id, byRequest(manifest, model.StatePromoted, "promoted by request")); err != nil {
		return err
	}
	return p.say("promoted "+id+": the daemon takes it up when it starts", model.Promote(models, id))
}

// manifestOf is the manifest of a model that a person named.
func manifestOf(models, id string) (*model.Manifest, error) {
	entries, err := model.List(models)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.ID == id {
			return e.Manifest, e.Err
		}
	}
	return nil, unknownModel(models, id)
}

func unknownModel(models, id string) error {
	return fmt.Errorf("no model %q in %s: see pacgan-appliance model list", id, models)
}

func (p *Program) modelRollback(ctx context.Context, f modelFlags, dir, _ string) error {
	client, err := daemonOf(ctx, dir)
	if err != nil {
		return err
	}
	if client != nil {
		return p.say(client.Do(ctx, control.Rollback))
	}
	models := filepath.Join(dir, modelsDir)
	current, err := model.Current(models)
	if err != nil {
		return err
	}
	previous, err := model.Previous(models)
	if err != nil {
		return err
	}
	if err := p.modelPromote(ctx, f, dir, previous); err != nil {
		return err
	}
	manifest, err := model.ReadManifest(filepath.Join(models, current))
	if err != nil {
		return err
	}
	return model.Judge(models, current, byRequest(manifest, model.StateAside, "rolled back by request"))
}

// say prints what is so now.
func (p *Program) say(message string, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.Stdout, message)
	return err
}

// ModelReport is a model in `model list --json` and `model show --json`.
type ModelReport struct {
	ID       string          `json:"id"`
	Current  bool            `json:"current"`
	Error    string          `json:"error,omitempty"`  // why the manifest cannot be read
	Origin   *Origin         `json:"origin,omitempty"` // none: it was trained here
	Manifest *model.Manifest `json:"manifest,omitempty"`
}

// reportModels lists the models in a state directory.
func reportModels(dir string) ([]ModelReport, error) {
	models := filepath.Join(dir, modelsDir)
	entries, err := model.List(models)
	if err != nil {
		return nil, err
	}
	current, err := model.Current(models)
	if err != nil && !errors.Is(err, model.ErrNoModel) {
		return nil, err
	}
	out := []ModelReport{}
	for _, e := range entries {
		r := ModelReport{ID: e.ID, Current: e.ID == current, Manifest: e.Manifest}
		err := e.Err
		if err == nil {
			r.Origin, err = readOrigin(filepath.Join(models, e.ID))
		}
		if err != nil {
			r.Error, r.Manifest = err.Error(), nil
		}
		out = append(out, r)
	}
	return out, nil
}

func (p *Program) modelList(_ context.Context, f modelFlags, dir, _ string) error {
	reports, err := reportModels(dir)
	if err != nil {
		return err
	}
	if f.json {
		return p.printJSON(reports)
	}
	return writeModels(p.Stdout, reports)
}

func (p *Program) modelShow(_ context.Context, f modelFlags, dir, id string) error {
	reports, err := reportModels(dir)
	if err != nil {
		return err
	}
	for _, r := range reports {
		if r.ID != id && !(id == "current" && r.Current) {
			continue
		}
		if r.Error != "" {
			return errors.New(r.Error)
		}
		if f.json {
			return p.printJSON(r)
		}
		return r.write(p.Stdout)
	}
	return unknownModel(filepath.Join(dir, modelsDir), id)
}

func (p *Program) printJSON(v any) error {
	encoder := json.NewEncoder(p.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
