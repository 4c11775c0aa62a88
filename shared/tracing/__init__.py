"""Says which piece of work caused which, in every process: in log lines always, as OpenTelemetry spans on demand."""
