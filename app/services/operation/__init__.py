"""Operation: jobs and workers, secrets, webhooks, and what machines ask."""
