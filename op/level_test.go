package op

import "testing"

func TestLevelIsTheHighestOfTheKinds(t *testing.T) {
	highest := uint32(0)
	for k := range kinds {
		if (kinds[k].make == nil) != (Kind(k).Level() == 0) {
			t.Errorf("kind %d has half a row", k)
		}
		highest = max(highest, Kind(k).Level())
	}
	if highest != Level {
		t.Errorf("the newest op is of level %d and Level is %d", highest, Level)
	}
}

func TestLevelOfATransactionIsThatOfItsNewestOp(t *testing.T) {
	const late Kind = 254
	kinds[late].since = Level + 1
	defer func() { kinds[late] = kind{} }()
	tx := &Tx{}
	for _, step := range []struct {
		add  Op
		want uint32
	}{{&Get{k("a")}, 1}, {newer{&Set{}, late}, Level + 1}, {&Set{}, Level + 1}} {
		if tx.Add(step.add); LevelOf(tx) != step.want {
			t.Errorf("behind %T it is of level %d, not %d", step.add, LevelOf(tx), step.want)
		}
	}
}

// newer is an op of another kind.
type newer struct {
	*Set
	kind Kind
}

func (n newer) Kind() Kind { return n.kind }
