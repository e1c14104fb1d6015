package redis

// Calls says how many calls of each command were answered since the start, or since somebody reset what INFO counts. Any goroutine may call it.
func (d *Dialect) Calls() map[string]uint64 {
	all, sums := map[string]uint64{}, d.sums()
	for _, row := range Commands() {
		if n := sums[row.number].calls; n > 0 {
			all[row.Name] = n
		}
	}
	return all
}
