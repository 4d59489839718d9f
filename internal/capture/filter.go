package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/net/bpf"
)

// ErrNoTcpdump says that the program that compiles filters is not installed.
var ErrNoTcpdump = errors.New("tcpdump, which compiles filters, is not installed: apt-get install tcpdump, or dnf install tcpdump")

// compileTimeout bounds one run of tcpdump, which takes a millisecond.
const compileTimeout = 10 * time.Second

// Filter is a compiled tcpdump expression.
type Filter struct {
	expr    string
	program []bpf.Instruction // classic BPF over the frame from the Ethernet header on
}

// String is the expression.
func (f Filter) String() string { return f.expr }

// Compile compiles a tcpdump expression (pcap-filter(7)) for Ethernet. It
// needs no privilege, looks no host name up and opens no interface. The error
// says on one line what is wrong, without repeating the expression.
func Compile(expr string) (Filter, error) {
	if strings.TrimSpace(expr) == "" {
		return Filter{}, errors.New("empty: write ip to match all of IPv4")
	}
	if err := checkNames(expr); err != nil {
		return Filter{}, err
	}
	text, err := runTcpdump(expr)
	if err != nil {
		return Filter{}, err
	}
	program, err := parseDecimal(text)
	if err != nil {
		return Filter{}, err
	}
	f := Filter{expr: expr, program: program}
	if _, err := f.block(0, 0); err != nil {
		return Filter{}, err
	}
	return f, nil
}

// runTcpdump returns what tcpdump -ddd prints: a program in decimal numbers.
func runTcpdump(expr string) (string, error) {
	path, err := findTcpdump()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), compileTimeout)
	defer cancel()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "-ddd", "-y", "EN10MB", "--", expr)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("tcpdump did not answer in %v", compileTimeout)
	case errors.As(err, &exit):
		return "", errors.New(shorten(errOut.String()))
	}
	return "", fmt.Errorf("run tcpdump: %w", err)
}

// findTcpdump also looks where distributions put programs of root's.
func findTcpdump() (string, error) {
	for _, name := range []string{"tcpdump", "/usr/sbin/tcpdump", "/sbin/tcpdump"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoTcpdump
}

// shorten makes one line of tcpdump's last message.
func shorten(message string) string {
	lines := strings.Split(strings.TrimSpace(message), "\n")
	line := strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "tcpdump: ")
	line = strings.TrimPrefix(line, "can't parse filter expression: ")
	switch {
	case line == "syntax error":
		return "syntax error: see pcap-filter(7)"
	case line == "":
		return "tcpdump refused it without a reason"
	}
	return line
}

// parseDecimal reads the count and the instructions that tcpdump -ddd prints.
func parseDecimal(text string) ([]bpf.Instruction, error) {
	in := strings.NewReader(text)
	var n int
	if _, err := fmt.Fscan(in, &n); err != nil || n < 1 || n > maxClassic {
		return nil, fmt.Errorf("tcpdump printed no program of 1 to %d instructions", maxClassic)
	}
	raw := make([]bpf.RawInstruction, n)
	for i := range raw {
		if _, err := fmt.Fscan(in, &raw[i].Op, &raw[i].Jt, &raw[i].Jf, &raw[i].K); err != nil {
			return nil, fmt.Errorf("tcpdump printed %d of %d instructions", i, n)
		}
	}
	program, all := bpf.Disassemble(raw)
	if !all {
		return nil, errors.New("tcpdump printed instructions that are not classic BPF")
	}
	return program, nil
}

// maxClassic is the kernel's own limit, BPF_MAXINSNS.
const maxClassic = 4096
