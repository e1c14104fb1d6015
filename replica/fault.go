package replica

// Fault is a rule that is broken on purpose, so that the simulator's tests can see that it would notice. Zero is none.
type Fault uint8

// Faults, each by the rule of the design that it breaks.
const (
	FaultGateAtCommit        Fault = iota + 1 // what is committed counts as visible
	FaultNoPending                            // no key is ever pending
	FaultPendingToVisible                     // pending ends when an entry is visible, not when it is applied
	FaultLeaseFromReceipt                     // a lease is counted from when the grant came
	FaultNoPromise                            // nothing but raft's own stickiness keeps leaders apart
	FaultVoteAtStart                          // no promise at start
	FaultGrantBeforeNoop                      // leases are granted before the first entry of the term is visible
	FaultOldGrant                             // the newest grant that came tells what must be applied, not the highest
	FaultGiveBack                             // a lease that was given back may come back with a late grant
	FaultRosterEarly                          // the roster is left in the middle of a grant
	FaultNoticePastCommit                     // what the leader calls visible is applied without a look at the own commit
	FaultChangeGated                          // changes of the membership wait until they are visible
	FaultNewNumber                            // a batch that is sent again gets a new number
	FaultResendAfterSnapshot                  // batches that a snapshot covers are sent again under new numbers
)
