package taskpb

// The topics that task consumes.
const (
	PersistTopic    = "im-persist-topic"     // Persist
	GroupTopic      = "im-group-topic"       // GroupFanout
	PushTopic       = "im-push-topic"        // PushCandidates
	DeadLetterTopic = "im-dead-letter-topic" // DeadLetter
)
