package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sync/errgroup"

	"pacgan-appliance/bench/traffic"
	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/train"
)

const (
	paperBatch = 32
	drawn      = 256 // packets generated at once
	paperNoise = 64
	ganBatch   = 64
	ganWork    = 4 // steps measured at once: one in four has a penalty
	// packetBytes is a ping's length: a matrix of 28 x 28, as the paper's.
	packetBytes = 84
)

// trainingPairs compare the paper's network with the same in PyTorch, and with itself on one core.
func trainingPairs(m, n, k int) []pair {
	return []pair{
		{name: "sgemm-openblas", unit: "FLOPS", theirs: "OpenBLAS, through numpy", work: float64(2 * m * n * k), prepare: func() (ours, theirs func() error, err error) {
			ours, _ = multiply(m, n, k)
			theirs, err = torch(torchPaper, "multiply")
			return ours, theirs, err
		}},
		{name: "paper-step", unit: "steps/s", theirs: "PyTorch", work: 1, prepare: func() (ours, theirs func() error, err error) {
			if theirs, err = torch(torchPaper, "step"); err != nil {
				return nil, nil, err
			}
			ours, err = steps(model.RecipePaper, noise(), paperBatch, 1)
			return ours, theirs, err
		}},
		{name: "two-cores", unit: "steps/s", theirs: "one training alone", work: 2, wall: true, prepare: twoAtOnce},
		{name: "paper-step-2-cores", unit: "steps/s", theirs: "ours on one core", work: 1, wall: true, prepare: func() (ours, theirs func() error, err error) {
			if ours, err = steps(model.RecipePaper, noise(), paperBatch, 2); err != nil {
				return nil, nil, err
			}
			theirs, err = steps(model.RecipePaper, noise(), paperBatch, 1)
			return onCores(2, ours), theirs, err
		}},
		{name: "paper-generate", unit: "packets/s", theirs: "PyTorch", work: drawn, prepare: func() (ours, theirs func() error, err error) {
			if theirs, err = torch(torchPaper, "generate"); err != nil {
				return nil, nil, err
			}
			ours, err = paperGenerate()
			return ours, theirs, err
		}},
		{name: "gan-step", unit: "steps/s", theirs: "PyTorch, without trees", work: ganWork, prepare: func() (ours, theirs func() error, err error) {
			w, err := traffic.New("tools", 1)
			if err != nil {
				return nil, nil, err
			}
			pings, err := w.Packets("ping", 1500)
			if err != nil {
				return nil, nil, err
			}
			if theirs, err = torch(torchGAN, "step"); err != nil {
				return nil, nil, err
			}
			ours, err = steps(model.RecipeGAN, pings, ganBatch, 1)
			return times(ours, ganWork), times(theirs, ganWork), err
		}},
	}
}

// The same steps in PyTorch.
var (
	//go:embed torch_paper.py
	torchPaper string
	//go:embed torch_gan.py
	torchGAN string
)

// python is Debian's, which finds python3-torch; another one may stand before it in the path.
const python = "/usr/bin/python3"

// errTorch says what is not there.
var errTorch = errors.New("the PyTorch script ended: it needs python3-torch and libopenblas0-pthread, which make bench installs")

// torch starts a script, which lives as long as this program, and returns what has it do one piece of work.
func torch(script, work string) (func() error, error) {
	cmd := exec.Command(python, "-c", script)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	helpers = append(helpers, cmd.Process.Pid)
	lines := bufio.NewScanner(out)
	done := func() error {
		if !lines.Scan() || lines.Text() != "done" {
			return errTorch
		}
		return nil
	}
	if err := done(); err != nil {
		return nil, err
	}
	return func() error {
		if _, err := io.WriteString(in, work+"\n"); err != nil {
			return err
		}
		return done()
	}, nil
}

// noise is packets to train on where what they hold does not matter.
func noise() [][]byte {
	packets := make([][]byte, 100)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range packets {
		packets[i] = make([]byte, packetBytes)
		for x := range packets[i] {
			packets[i][x] = byte(rng.Uint32())
		}
	}
	return packets
}

// times does work so many times: a step of its own would be too short to measure.
func times(work func() error, n int) func() error {
	return func() error {
		for range n {
			if err := work(); err != nil {
				return err
			}
		}
		return nil
	}
}

// onCores does work on so many processors.
func onCores(n int, work func() error) func() error {
	return func() error {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
		return work()
	}
}

// twoAtOnce compares two trainings of one thread each, side by side, with one alone: what the machine's second core is worth, and
// so the most that one training on two cores can gain.
func twoAtOnce() (ours, theirs func() error, err error) {
	var alone [3]func() error
	for i := range alone {
		if alone[i], err = steps(model.RecipePaper, noise(), paperBatch, 1); err != nil {
			return nil, nil, err
		}
	}
	both := func() error {
		var g errgroup.Group
		g.Go(alone[0])
		g.Go(alone[1])
		return g.Wait()
	}
	return onCores(2, both), times(alone[2], 2), nil
}

// steps starts a training with so many threads, which waits before each step, and returns what lets it make one.
func steps(recipe model.Recipe, packets [][]byte, batch, threads int) (func() error, error) {
	data := train.Data{{Label: "echo", Packets: packets}}
	const never = 1 << 30
	next, made, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := train.Train(context.Background(), data, train.Options{
			Recipe: recipe, Seed: 1, Batch: batch, Threads: threads, Steps: never, CheckpointEvery: never,
			Progress: func(train.Progress) { made <- struct{}{}; <-next },
		})
		ended <- err
	}()
	step := func() error {
		select {
		case <-made:
			return nil
		case err := <-ended:
			return err
		}
	}
	if err := step(); err != nil {
		return nil, err
	}
	return func() error {
		next <- struct{}{}
		return step()
	}, nil
}

// paperGenerate draws packets from an untrained network: what it costs does not depend on its weights.
func paperGenerate() (func() error, error) {
	const label = "echo"
	g, err := encoding.Fit(packetBytes)
	if err != nil {
		return nil, err
	}
	net, err := model.NewNet(model.PaperArch(g, 1, paperNoise))
	if err != nil {
		return nil, err
	}
	makeUp(net)
	s, err := (&model.Model{Recipe: model.RecipePaper, Labels: []string{label}, Geometry: g, Net: net}).NewSampler(label, 1)
	if err != nil {
		return nil, err
	}
	var packet []byte
	return func() error {
		for range drawn {
			if packet, err = s.Next(packet[:0]); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// makeUp gives a network weights that are no variance below 0, and not all 0: without any it would not be run.
func makeUp(n *model.Net) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, w := range n.Weights {
		for i := range w {
			w[i] = rng.Float32() / 16
		}
	}
}
