package appliance

import (
	"context"

	"pacgan-appliance/internal/links"
)

// watchLinks logs what becomes of the interfaces. One that goes away takes the
// programs with it: the daemon cannot go on then, and its manager starts it
// again until there is another.
func (s *service) watchLinks(ctx context.Context) error {
	return s.links.Run(ctx, func(c links.Change) {
		if c.Bad {
			s.log.Warn("interface "+c.Interface+" "+c.What, "interface", c.Interface)
			return
		}
		s.log.Info("interface "+c.Interface+" "+c.What, "interface", c.Interface)
	})
}
