package op

// Recache is what is known of a string that clients compute anew together, one of them for all (memcached's meta commands). A Set or a Splice ends it.
type Recache uint8

const (
	Outdated Recache = 1 << iota // the value is to be replaced; whoever claims it does that
	Claimed                      // somebody has
)

// Claim reads a string as Get does, and claims it if it is outdated, or ends before Soon, and nobody has: Found says whether it did that, and Recache
// what was known before. Life is its new deadline, if not Keep; what that ends at once is shown for the last time. A missing key becomes an empty string with the
// life Fresh if Create, claimed by this; otherwise it is Missing. A Soon of Forever is before everything.
type Claim struct {
	Key    Key
	Life   Life
	Soon   Life
	Create bool
	Fresh  Life
}

// Outdate makes a string an outdated one that nobody has claimed, with the deadline Life if that is not Keep. Missing if it is not there; Version is the
// new one. Cond as in Set.
type Outdate struct {
	Key  Key
	Life Life
	Cond Cond
}

func (*Claim) write()   {}
func (*Outdate) write() {}

func (o *Claim) Kind() Kind { return KindClaim }
func (o *Claim) Append(b []byte) []byte {
	b = appendLife(appendLife(appendKey(append(b, byte(KindClaim)), o.Key), o.Life), o.Soon)
	return appendLife(appendBool(b, o.Create), o.Fresh)
}
func (o *Claim) decode(r *reader) { *o = Claim{r.key(), r.life(), r.life(), r.bool(), r.life()} }

func (o *Outdate) Kind() Kind { return KindOutdate }
func (o *Outdate) Append(b []byte) []byte {
	return appendCond(appendLife(appendKey(append(b, byte(KindOutdate)), o.Key), o.Life), o.Cond)
}
func (o *Outdate) decode(r *reader) { *o = Outdate{r.key(), r.life(), r.cond()} }
