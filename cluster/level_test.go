package cluster

import (
	"strings"
	"testing"
)

func TestMemberThatIsTooOldDoesNotJoin(t *testing.T) {
	in := standing{name: "c1", addr: "h:1", id: 7, condition: active, group: groupID{3, 1}, knows: 2, level: 2}
	in, err := decodeStanding(in.append(nil))
	if err != nil || in.knows != 2 || in.level != 2 {
		t.Fatalf("%+v, %v", in, err)
	}
	for knows, want := range map[uint32]bool{1: false, 2: true, 3: true} {
		v := decide(&standing{name: "c2", condition: empty, knows: knows}, []standing{in})
		if joins := v.join != nil; joins != want {
			t.Errorf("a version that knows level %d joins a group of level 2: %v", knows, joins)
		}
		if !want && (v.gone == nil || !strings.Contains(v.gone.Error(), "level 2") || !isNewer(v.gone)) {
			t.Errorf("it is told %v", v.gone)
		}
	}
}
