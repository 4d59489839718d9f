package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"pacgan-appliance/internal/chart"
)

// write writes the table and the picture into a repository.
func write(dir string, o options, all []result) error {
	svg, err := picture(all)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "docs", "fleet-scale.svg"), svg, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "bench", "fleet", "results.md"), table(o, all), 0o644)
}

func table(o options, all []result) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# One hub, many gateways

`+"`make bench-fleet`"+`, %s, %s: %g records a second over all gateways for %g s, each gateway a real client with TLS, its
own NKey, truth directory (in memory) and uploader; the hub a process of its own on the same machine, sync_interval: always.
Afterwards the whole stream was read: no record was lost, none was there twice. Latency is from a record written by the gateway to
its acknowledgement, the up to 2 s that a gateway's disk and uploader wait for more records among them.

| gateways | records | offered/s | stored/s | latency p50 | p99 | hub RSS, idle | hub RSS, peak | of it a gateway | hub CPU | a gateway RSS | all gateways CPU | JSON a record | hub's disk a record | records a message |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
`, time.Now().UTC().Format(time.DateOnly), machine(), o.rate, o.seconds)
	for _, r := range all {
		n := float64(r.Gateways)
		fmt.Fprintf(&b, "| %d | %d | %.0f | %.0f | %.2f s | %.2f s | %.0f MiB | %.0f MiB | %.2f MiB | %.2f cores | %.1f MiB | %.2f cores | %.0f B | %.0f B | %d |\n",
			r.Gateways, r.Offered, float64(r.Offered)/r.Took.Seconds(), float64(r.Stored)/r.whole().Seconds(), r.P50.Seconds(), r.P99.Seconds(),
			mib(r.IdleRSS), mib(r.HubRSS), mib(r.HubRSS)/n, r.HubCPU.Seconds()/r.whole().Seconds(), mib(r.OwnRSS)/n, r.OwnCPU.Seconds()/r.whole().Seconds(),
			float64(r.WireBytes)/float64(r.Stored), float64(r.Disk)/float64(r.Stored), r.Batch)
	}
	return b.Bytes()
}

// machine is what the figures were measured on.
func machine() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // where there is none: unknown
	cpu, cores := "unknown CPU", strings.Count(string(text), "processor\t")
	if _, rest, ok := strings.Cut(string(text), "model name"); ok {
		line, _, _ := strings.Cut(rest, "\n")
		cpu = strings.Trim(line, "\t :")
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return cpu
	}
	release := strings.SplitN(unix.ByteSliceToString(u.Release[:]), ".", 3)
	return fmt.Sprintf("%s, %d cores, Linux %s", cpu, cores, strings.Join(release[:min(2, len(release))], "."))
}

// style is what internal/chart leaves to its page.
const style = `<style>svg{background:#fff;font-family:sans-serif}text{fill:#555;font-size:10px;text-anchor:middle}.stroke{fill:none}.grid{stroke:#ddd}.a{stroke:#1763b5}.b{stroke:#a8479a}</style>`

// picture is the growth with the number of gateways: four drawings in one.
func picture(all []result) ([]byte, error) {
	const width, height = 380, 170
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">%s<rect width="100%%" height="100%%" fill="#fff"/>`, 2*width+60, 2*(height+40), 2*width+60, 2*(height+40), style)
	for i, of := range []struct {
		title string
		value func(result) float64
		other func(result) float64 // a second line; nil: none
	}{
		{"records stored per second", func(r result) float64 { return float64(r.Stored) / r.whole().Seconds() }, nil},
		{"latency p50 and p99 (violet), seconds", func(r result) float64 { return r.P50.Seconds() }, func(r result) float64 { return r.P99.Seconds() }},
		{"hub's memory, MiB: idle, and peak (violet)", func(r result) float64 { return mib(r.IdleRSS) }, func(r result) float64 { return mib(r.HubRSS) }},
		{"CPU, cores: hub, and all gateways (violet)", func(r result) float64 { return r.HubCPU.Seconds() / r.whole().Seconds() }, func(r result) float64 { return r.OwnCPU.Seconds() / r.whole().Seconds() }},
	} {
		p := chart.NewPlot()
		p.Y.Min, p.X.Min = 0, 0
		if err := addLine(p, all, of.value, "a"); err != nil {
			return nil, err
		}
		if of.other != nil {
			if err := addLine(p, all, of.other, "b"); err != nil {
				return nil, err
			}
		}
		x, y := 20+i%2*(width+20), i/2*(height+40)
		drawing := string(chart.Drawing(p, width, height, of.title, nil))
		drawing = strings.Replace(drawing, "<svg ", fmt.Sprintf(`<svg x="%d" y="%d" width="%d" height="%d" `, x, y+24, width, height), 1)
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>%s`, x+width/2, y+16, of.title, drawing)
	}
	b.WriteString("</svg>\n")
	return b.Bytes(), nil
}

// addLine adds a line over the number of gateways.
func addLine(p *plot.Plot, all []result, of func(result) float64, class chart.Class) error {
	points := make(plotter.XYs, len(all))
	for i, r := range all {
		points[i].X, points[i].Y = float64(r.Gateways), of(r)
		p.Y.Max = max(p.Y.Max, 1.1*points[i].Y)
	}
	return chart.AddLine(p, points, chart.Stroke(class), plotter.NoStep)
}
