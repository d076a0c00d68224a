"""Questions past one machine, in place of a training: agreed on beforehand, asked by the server, answered by sites."""
