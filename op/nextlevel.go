//go:build nextlevel

package op

// A build with the tag nextlevel stands for the next version in tests of upgrades: it knows one op more.

// Level is the highest level that this build knows.
const Level = 2

// KindNudge has a number that no version will use.
const KindNudge Kind = 255

// Nudge adds 1 to an integer. It is read back as the IncrBy that it means.
type Nudge struct{ IncrBy }

func (o *Nudge) Kind() Kind { return KindNudge }
func (o *Nudge) Append(b []byte) []byte {
	return appendInt(appendKey(append(b, byte(KindNudge)), o.Key), 1)
}

func init() { kinds[KindNudge] = of[IncrBy](2) }
