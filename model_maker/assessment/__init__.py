"""Assessment of finished models: against an older one, and under the conditions that phones meet."""
