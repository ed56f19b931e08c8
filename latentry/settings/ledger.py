"""The ledger: how long records live, leases and checkpoints."""

from pydantic import Field, ValidationInfo, field_validator

from latentry.settings.section import MAX_TTL_S, PREFIX, Section


class LedgerSettings(Section):
    """Lifetimes of records, and what a worker's death may cost."""

    result_ttl_s: int = Field(
        86_400,
        ge=1,
        le=MAX_TTL_S,
        description="Lifetime of a job's record, events and images.",
    )
    max_keep_s: int = Field(
        0,
        ge=0,
        le=MAX_TTL_S,
        description="Maximum `keep_for` of a request, if that is more than LATENTRY_RESULT_TTL_S.",
    )
    queue_ttl_s: int = Field(
        3_600, ge=1, le=MAX_TTL_S, description="Maximum queue time; then the job expires."
    )
    usage_ttl_days: int = Field(
        400, ge=1, le=3_650, description="Number of days for which usage is kept."
    )
    # Sweepers take half a lease without a sweep for an outage, and they sweep every second.
    lease_s: float = Field(
        6.0, ge=3, description="After this time without a heartbeat a worker loses its jobs."
    )
    heartbeat_s: float = Field(
        2.0,
        gt=0,
        validate_default=True,
        description="Interval of lease renewals; at most half of lease_s.",
    )
    checkpoint_s: float = Field(
        2.0, ge=0, description="Interval of checkpoints: the work lost when a worker dies."
    )
    checkpoint_bytes: int = Field(
        256 * 1024 * 1024,
        ge=0,
        description="Maximum size of all checkpoints in Redis; beyond it none are saved.",
    )

    @property
    def longest_kept_s(self) -> int:
        """For how long a request may have its results kept."""
        return max(self.result_ttl_s, self.max_keep_s)

    @field_validator("heartbeat_s")
    @classmethod
    def _beats_twice_per_lease(cls, value: float, info: ValidationInfo) -> float:
        lease_s = info.data.get("lease_s", value * 2)  # missing if it was invalid itself
        if value * 2 > lease_s:
            raise ValueError(f"it must be at most half of {PREFIX}LEASE_S, which is {lease_s:g}")
        return value
