"""What a deployment costs and how it scales, on paper: nothing here runs in the cloud, or asks it anything.

template.yaml ── policy ──┬── scaling ── simulation ── hours of machines ──┐
assumptions ── behaviour ─┘                                                ├── cost
what a job asks for ── usage ── what a year of them adds up to ────────────┤
prices.toml ── prices ─────────────────────────────────────────────────────┘
"""
