package family

import (
	"os"
	"os/exec"
	"testing"
)

func TestChild(t *testing.T) {
	cat := exec.Command("cat", "-", "an argument")
	hold, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, argument string
		parent, want   int
	}{
		{"any", "", os.Getpid(), cat.Process.Pid},
		{"by its argument", "an argument", os.Getpid(), cat.Process.Pid},
		{"of another argument", "argument", os.Getpid(), 0},
		{"without children", "", cat.Process.Pid, 0},
		{"no process", "", 1 << 30, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := Child(tt.parent, tt.argument); got != tt.want || err != nil {
				t.Errorf("process %d, %v, want %d", got, err, tt.want)
			}
		})
	}
	if err := hold.Close(); err != nil {
		t.Fatal(err)
	}
	_ = cat.Wait() // there is no such file
	if got, err := Child(os.Getpid(), ""); got != 0 || err != nil {
		t.Errorf("process %d, %v, of one that has ended", got, err)
	}
}
