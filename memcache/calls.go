package memcache

// Calls says how often what stats count was asked for since the start: keys that were read, items that were stored (by whatever command), and so on. Any
// goroutine may call it.
func (d *Dialect) Calls() map[string]uint64 {
	d.mu.Lock()
	t := d.totals()
	d.mu.Unlock()
	all := map[string]uint64{}
	for name, n := range map[string]uint64{
		"get": t[getHits] + t[getMisses], "set": t[setCmds], "delete": t[deleteHits] + t[deleteMisses], "incr": t[incrHits] + t[incrMisses],
		"decr": t[decrHits] + t[decrMisses], "touch": t[touchHits] + t[touchMisses], "flush_all": t[flushCmds], "auth": t[authCmds],
	} {
		if n > 0 {
			all[name] = n
		}
	}
	return all
}
