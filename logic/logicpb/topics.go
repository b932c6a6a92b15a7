package logicpb

// UpstreamTopic carries Upstream records: what clients sent, to be admitted.
const UpstreamTopic = "im-upstream-topic"
