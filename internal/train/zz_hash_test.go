package train

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"pacgan-appliance/internal/model"
)

func TestZZHash(t *testing.T) {
	for _, r := range []model.Recipe{model.RecipeGAN, model.RecipePaper} {
		for threads := 1; threads <= 2; threads++ {
			res, err := Train(t.Context(), lanData(1, 100), Options{Recipe: r, Seed: 3, Steps: 6, Threads: threads, Batch: 32})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println(r, threads, res.Losses[5], res.Curve[len(res.Curve)-1].Distance)
			m := res.Model
			if m.Net != nil && r == model.RecipeGAN {
				for i := range m.Net.Weights {
					for j := range m.Net.Weights[i] {
						m.Net.Weights[i][j] = float32((j*7919+i*31)%1000)/1000 - 0.5
					}
				}
			}
			for _, l := range m.Labels {
				s, _ := m.NewSampler(l, 77)
				h := sha256.New()
				for range 500 {
					p, _ := s.Next(nil)
					h.Write(p)
				}
				fmt.Printf("%s %x\n", l, h.Sum(nil)[:8])
			}
		}
	}
}
